"""What tests of several rooms share and what is no fixture."""

from pathlib import Path

import pytest

#: The repository.
ROOT = Path(__file__).parents[2]
# A failure of these says what was compared, as one in a test does.
pytest.register_assert_rewrite(f"{__name__}.words")
