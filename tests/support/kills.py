"""A kill between any two steps of a run: what a test starts a process with."""

# For each number that comes, a process that starts here and dies at that step; its exit code goes.
FORKS = """
import os, sys
from aliyun_emo import generation, making, runs
null = os.open(os.devnull, os.O_RDWR)
for line in sys.stdin:
    os.environ["KILL_AT"] = line
    child = os.fork()
    if not child:
        for number in range(3):
            os.dup2(null, number)
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
"""
# The process is killed before its step number KILL_AT: a change of the disk, or of the network.
DIES = """
import http.client, os, signal
left = int(os.environ["KILL_AT"])
def counted(owner, name):
    real = getattr(owner, name)
    def step(*words, **more):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **more)
    setattr(owner, name, step)
for name in ("mkdir", "replace", "unlink"):
    counted(os, name)
for name in ("connect", "send", "getresponse"):
    counted(http.client.HTTPConnection, name)
"""
