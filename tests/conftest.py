"""No network and no home directory in tests: set before anything imports `datasets`."""

import os
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="seqapps-hf-")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
