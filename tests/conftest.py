"""Settings of every test process, which what it starts inherits."""

import os
import signal

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # of a shell's background jobs, which would hear no Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("NETSPEC_COMPILE_JOBS", "1")  # tests run several at once already
