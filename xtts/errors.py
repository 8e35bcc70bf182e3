"""The one error that speech code raises for people."""


class SpeechError(Exception):
    """Something given is wrong; the message is one line: what was given, where, and what to do."""
