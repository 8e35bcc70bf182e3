"""What tests of the corpus ask of prepare_speech again and again."""

import pytest

from xtts.data.build_dataset import prepare_speech
from xtts.errors import SpeechError


def reads_to_prepare(data, **options):
    """How many recordings were read to prepare the folder."""
    reads = []

    def progress(done, total, what):
        assert 0 <= done <= total
        reads.append(what)

    prepare_speech(data, progress=progress, **options)
    return reads.count("reading recordings")


def reasons(speech):
    """Why clips were left out, by id."""
    return {exclusion.id: exclusion.reason for exclusion in speech.exclusions}


def complaint(*args, **options):
    """The one line with which prepare_speech refuses."""
    with pytest.raises(SpeechError) as caught:
        prepare_speech(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
