"""The brokers that are measured: how each is started, watched and stopped, and what it ran on.

Both have their default settings, listen on 127.0.0.1 only, and start on an empty folder. RabbitMQ is the distribution's
(Debian: apt-get install rabbitmq-server); it is not run as a service and what it keeps is deleted.
"""

import datetime
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEVERET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "leveret"
RABBITMQ = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class Memory(NamedTuple):
    """What a process has in memory, in bytes; the anonymous part is without the pages of its binary and other files."""

    anonymous: int
    resident: int
    # The most that was ever resident.
    peak: int

    @classmethod
    def of(cls, process):
        kibibytes = dict(re.findall(r"^(\w+):\s*(\d+) kB$", (process / "status").read_text(), re.MULTILINE))
        return cls(*(int(kibibytes.get(key, 0)) * 1024 for key in ("RssAnon", "VmRSS", "VmHWM")))


class Broker:
    """A broker in a session of its own, on an empty folder."""

    def __init__(self, name, *flags):
        self.name, self.port = name, free_port()
        self.folder = tempfile.mkdtemp(prefix=f"bench-{name}-")
        command, environment = self.leveret() if name == "leveret" else self.rabbitmq()
        self.command, self.environment = [*command, *flags], environment
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        try:
            self.await_start()
        except BaseException:
            self.stop()
            raise

    def crash(self):
        """Ends the broker as a crash would. What it had is there when it is started again."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def leveret(self):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LEVERET_")}
        bind = f"127.0.0.1:{self.port}"
        return [LEVERET, "serve", "--data-dir", "data", "--amqp-bind", bind, "--http-bind", ""], environment

    def rabbitmq(self):
        home = os.path.join(self.folder, "home")
        os.mkdir(home)
        for name, text in (("enabled_plugins", "[].\n"), ("rabbitmq.conf", "")):
            pathlib.Path(self.folder, name).write_text(text)
        # Erlang leaves the port mapper that it starts behind. One on a port of its own in this session ends with it.
        return ["/bin/sh", "-c", 'epmd & exec "$0"', RABBITMQ], {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": home, "RABBITMQ_HOME_DIR": home,
            "RABBITMQ_NODENAME": f"bench_{self.port}@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": f"{self.folder}/mnesia", "RABBITMQ_LOG_BASE": f"{self.folder}/logs",
            "RABBITMQ_CONF_ENV_FILE": f"{self.folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.folder}/enabled_plugins",
            "RABBITMQ_CONFIG_FILE": f"{self.folder}/rabbitmq",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def await_start(self):
        deadline = time.time() + 90
        while time.time() < deadline:
            if self.process.poll() is not None:
                tail = pathlib.Path(self.log.name).read_text(errors="replace")[-500:]
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {tail}")
            if self.speaks():
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not answer")

    def speaks(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                connection.settimeout(5)
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def processes(self):
        """The processes of the broker's session: the folder in /proc, and the fields of stat that follow the name."""
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid:
                yield folder, fields

    def cpu_seconds(self):
        """CPU time of the broker's session so far."""
        ticks = sum(int(fields[11]) + int(fields[12]) for _, fields in self.processes())
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Of the largest process, which is the broker: what else is in RabbitMQ's session starts or serves that one."""
        return max((Memory.of(folder) for folder, _ in self.processes()), key=lambda memory: memory.resident)

    def stop(self):
        """Ends what this has started, the session it leads."""
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port():
    """A port below those that the system hands out to clients, which could take it before the broker does."""
    for port in range(5680, 6680):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in free_port.given:
            free_port.given.add(port)
            return port
    raise RuntimeError("no free port")


free_port.given = set()


def version(name):
    if name == "leveret":
        return subprocess.run([LEVERET, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    listed = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "rabbitmq-server"], capture_output=True, text=True)
    return "RabbitMQ " + (listed.stdout.split("-")[0] or "of unknown version")


def installed(names):
    return [name for name in names if name != "rabbitmq" or RABBITMQ.exists()]


def provenance(names):
    """Which versions were measured, when, and on what machine."""
    processor = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    processor = processor.group(1) if processor else platform.machine()
    return (f"{', '.join(version(name) for name in names)}; {datetime.date.today()}; {os.cpu_count()} cores "
            f"({processor}), Linux {platform.release()}")
