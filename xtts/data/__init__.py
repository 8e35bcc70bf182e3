"""From a folder of recordings to features, tokens and splits that every trial shares."""
