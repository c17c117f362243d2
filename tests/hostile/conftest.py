"""How many random examples: few, and the same ones, in `make test`; many in `make hostile`."""

import os

from tests.ui.conftest import models_dir as models_dir
from tests.ui.conftest import tiny_folder as tiny_folder

EXAMPLES = int(os.environ.get("DVT_EXAMPLES", "40"))
