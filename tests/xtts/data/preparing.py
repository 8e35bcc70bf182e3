"""What tests of the corpus ask of build_dataset again and again."""

import pytest

from xtts.data.build_dataset import build_dataset
from xtts.errors import SpeechError


def reads_to_prepare(data, **options):
    """How many recordings were read to prepare the folder."""
    reads = []

    def progress(done, total, what):
        assert 0 <= done <= total
        reads.append(what)

    build_dataset(data, progress=progress, **options)
    return reads.count("reading recordings")


def reasons(speech):
    """Why clips were left out, by id."""
    return {exclusion.id: exclusion.reason for exclusion in speech.exclusions}


def complaint(*args, **options):
    """The one line with which build_dataset refuses."""
    with pytest.raises(SpeechError) as caught:
        build_dataset(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
