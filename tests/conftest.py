"""Settings of every test process: tests run several at once already, so that none of them starts compilers of its own."""

import os

os.environ.setdefault("NETSPEC_COMPILE_JOBS", "1")
