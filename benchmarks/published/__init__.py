"""Published trainers, each in a virtual environment of its own, made ready for a few short runs on a few clips."""
