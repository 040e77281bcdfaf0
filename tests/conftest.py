"""No network, no home directory, one thread in tests: set before anything imports `datasets` or torch."""

import os
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="seqapps-hf-")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

# Tests run beside each other. Threads of one small product that wait for one another on a busy machine
# take minutes for what one thread does in a second. Read when torch is loaded, here and in child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
