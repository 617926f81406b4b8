"""Run by test_kill: imports TFX once, then runs pipelines in forked children, which are killed like any process.

Takes a JSON line ``{"file", "environ", "log"}`` a run; answers with the child's process id, and when it is dead with
its exit code, negative for a signal. The child leads its own process group.
"""

import json
import os
import runpy
import sys
import traceback

import pipelines.pipeline
import pipelines.preflight  # noqa: F401  both take their time to import


def run(file: str, environ: dict[str, str], log: str) -> int:
    os.setsid()
    os.environ.update(environ)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        runpy.run_path(file, run_name="__main__")
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = run(**json.loads(line))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
