import subprocess
import sys

WORK = """
import sys
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
