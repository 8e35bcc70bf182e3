"""Log-mel features of all recordings in one file, their index, and files that are whole or refused."""
