import subprocess
import sys

import pytest

WORK = """
import sys

import pytest
from flows.cli.lean import leave_pandas_out
leave_pandas_out()
import duckdb, pyarrow
table = pyarrow.table({"a": [1, 2]})
database = duckdb.connect()
database.register("t", table)
assert database.sql("SELECT sum(a) FROM t").fetchall() == [(3,)]
assert "pandas" not in sys.modules
assert pyarrow.default_memory_pool().backend_name == "system"
import pandas
assert pandas.DataFrame({"a": [1]}).a.sum() == 1
"""


def test_a_run_does_without_pandas_and_it_can_still_be_had() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_a_run_gives_back_is_the_system_s_again() -> None:
    work = """
from flows.cli.lean import give_memory_back
give_memory_back()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
before = resident()
kept = [bytes(5 * 2**20) for _ in range(10)]
small = [bytes(100_000) for _ in range(10)]
del kept
assert resident() - before < 10 * 2**20
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells and gives back memory this way")
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
