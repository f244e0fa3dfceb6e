#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Run the tests of this folder, or of another one, under Debian's own kernel, which has ESP, in a virtual machine.

The machine has the kernel of Debian's linux-image-cloud package and, read-only, the file system of the host: the same
charon, the same plugin, the same tests. What it writes goes to memory, and results to a folder of the host. It has no
network card, and none of it runs longer than --timeout.

    vm.py [--tests FOLDER] [--results FOLDER] [--timeout SECONDS] [--machines COUNT] [PYTEST ARGUMENT...]

The results are results.xml (JUnit), output.log, console.log and, of tests that failed, logs. The exit status is pytest's;
without a verdict of the guest it is 1. Of several machines each takes a part of the tests, and has its results in a folder
of its own, 0 and so on; the status is the first one that is not 0.
"""

import argparse
import contextlib
import fcntl
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
CACHE = (REPO / ".cache" / "vm").resolve()
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "scenarios"))

from harness import net  # noqa: E402

META_PACKAGE = "linux-image-cloud-amd64"
BOOT_MODULES = ("virtio_pci", "virtiofs", "overlay")
"""What the kernel needs to reach the host's file system; everything else it finds there."""

VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
QEMU = "qemu-system-x86_64"
BUSYBOX = "/bin/busybox"
MEMORY = 1536
"""MB"""

START = 60
"""Seconds the guest may take beyond its tests: boot, and power off."""

INIT = """#!/bin/busybox sh
# The first process: mounts the host's file system, with memory over it, and the kernel's modules.
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
for module in $($bb cat /modules); do $bb insmod /lib/$module || $bb echo "cannot load $module"; done
$bb mount -t tmpfs -o size=80% memory /memory
$bb mkdir -p /memory/host /memory/upper /memory/work /memory/system
$bb mount -t virtiofs -o ro host /memory/host || $bb poweroff -f
$bb mount -t overlay -o lowerdir=/memory/host,upperdir=/memory/upper,workdir=/memory/work root /memory/system ||
	$bb poweroff -f
$bb mkdir -p /memory/system/usr/lib/modules
$bb mount --bind "/memory/host@MODULES@" /memory/system/usr/lib/modules || $bb poweroff -f
$bb umount /proc
exec $bb switch_root /memory/system /bin/bash "@GUEST@"
"""


def log(text):
    print(f"vm: {text}", file=sys.stderr, flush=True)


def run(*argv, **kwargs):
    result = subprocess.run([str(arg) for arg in argv], capture_output=True, text=True, **kwargs)
    if result.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


# the kernel


def kernel_package():
    """The package that the newest cloud kernel is in: (name, version)."""

    def ask():
        for line in run("apt-cache", "depends", "--important", META_PACKAGE).splitlines():
            kind, _, name = line.strip().partition(": ")
            if kind == "Depends" and name.startswith("linux-image-"):
                return name
        raise RuntimeError(f"{META_PACKAGE} depends on no kernel")

    try:
        name = ask()
    except RuntimeError:
        log("updating the package lists")
        run("apt-get", "update", timeout=300)
        name = ask()
    for line in run("apt-cache", "show", "--no-all-versions", name).splitlines():
        if line.startswith("Version: "):
            return name, line.split()[1]
    raise RuntimeError(f"{name} has no version")


def download(name, version, folder):
    """The .deb in a folder. The lists of packages can be older than the archive."""
    fetch = ["apt-get", "download", "-o", "APT::Sandbox::User=root", f"{name}={version}"]
    try:
        run(*fetch, cwd=folder, timeout=600)
    except RuntimeError:
        log("updating the package lists")
        run("apt-get", "update", timeout=300)
        fetch[-1] = name
        run(*fetch, cwd=folder, timeout=600)
    (deb,) = folder.glob("*.deb")
    return deb


def make_initramfs(kernel, release, folder):
    """Busybox, the modules that are needed to mount the root, and the guest's first process."""
    for sub in ("bin", "dev", "proc", "lib", "memory"):
        (folder / sub).mkdir(parents=True)
    shutil.copy2(BUSYBOX, folder / "bin" / "busybox")
    order = []
    for module in BOOT_MODULES:
        needed = run("modprobe", "--show-depends", "-d", kernel / "usr", "-S", release, module, cwd="/")
        for line in needed.splitlines():
            kind, _, path = line.partition(" ")
            path = Path(path.strip())
            if kind == "insmod" and path.name not in order:
                shutil.copy2(path, folder / "lib" / path.name)
                order.append(path.name)
    (folder / "modules").write_text("\n".join(order) + "\n")
    init = INIT.replace("@MODULES@", str(kernel / "usr" / "lib" / "modules")).replace("@GUEST@", str(HERE / "guest"))
    (folder / "init").write_text(init)
    (folder / "init").chmod(0o755)


def prepare():
    """Kernel, modules and initramfs. Returns (bzImage, initramfs, folder of the modules).

    Kept in .cache/vm as long as the kernel package, this file and busybox stay what they are.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for old in CACHE.glob("new-*"):
            shutil.rmtree(old)
        ready = next(iter(sorted(CACHE.glob("kernel-*"))), None)
        try:
            name, version = kernel_package()
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            if not ready:
                raise
            log(f"{error}; going on with what is in the cache")
        else:
            ready = CACHE / f"kernel-{name}_{version.replace(':', '%')}"
        kernel = ready
        if not (kernel / "vmlinuz").exists():
            log(f"fetching {name} {version}")
            made = Path(tempfile.mkdtemp(prefix="new-", dir=CACHE))
            tree = made / "tree"
            run("dpkg-deb", "-x", download(name, version, made), tree)
            (release,) = [path.name for path in (tree / "lib" / "modules").iterdir()]
            kept = made / "kept"
            (kept / "usr" / "lib").mkdir(parents=True)
            (tree / "lib" / "modules").rename(kept / "usr" / "lib" / "modules")
            (tree / "boot" / f"vmlinuz-{release}").rename(kept / "vmlinuz")
            run("depmod", "-b", kept / "usr", release)
            for old in CACHE.glob("kernel-*"):
                shutil.rmtree(old)
            kept.rename(kernel)
            shutil.rmtree(made)
        (release,) = [path.name for path in (kernel / "usr" / "lib" / "modules").iterdir()]
        initramfs = kernel / "initramfs"
        stamp = f"{Path(__file__).stat().st_mtime_ns} {os.stat(BUSYBOX).st_mtime_ns} {kernel}"
        made_for = kernel / "initramfs.made-for"
        if not initramfs.exists() or not made_for.exists() or made_for.read_text() != stamp:
            with tempfile.TemporaryDirectory(prefix="new-", dir=CACHE) as folder:
                folder = Path(folder)
                make_initramfs(kernel, release, folder / "root")
                names = "\0".join(
                    str(path.relative_to(folder / "root")) for path in sorted((folder / "root").rglob("*"))
                )
                archive = subprocess.run(
                    ["cpio", "--null", "-o", "-H", "newc", "--quiet", "-R", "0:0"], input=names.encode(),
                    cwd=folder / "root", capture_output=True, check=True,
                ).stdout
                (folder / "initramfs").write_bytes(archive)
                (folder / "initramfs").rename(initramfs)
            made_for.write_text(stamp)
        return kernel / "vmlinuz", initramfs, kernel


# the machine


def has_kvm():
    """TRUE where a stock kernel runs under KVM: kvm_pvm takes the calls, but needs a kernel of its own kind."""
    if Path("/sys/module/kvm_pvm").exists() or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
    return bool({"vmx", "svm"} & set(flags.split()))


class Machine:
    """A guest and the daemons that share folders with it. Use as a context manager: all of it ends."""

    def __init__(self, kernel, initramfs, results):
        self.kernel, self.initramfs, self.results = kernel, initramfs, results
        self.folder = net.folder()
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(3)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        # virtiofsd names its lock file after the socket and leaves it
        for path in Path("/run/virtiofsd").glob(f"*{self.folder.name}*"):
            path.unlink()

    def popen(self, argv, output):
        with open(output, "ab") as stream:
            process = subprocess.Popen(
                [str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                preexec_fn=net.die_with_parent,
            )
        self.processes.append(process)
        return process

    def share(self, tag, source, cache):
        """Offer a folder; returns the options for qemu."""
        virtiofsd = next((path for path in VIRTIOFSD if os.access(path, os.X_OK)), None)
        if not virtiofsd:
            raise RuntimeError("virtiofsd is missing")
        sock = self.folder / tag
        daemon = self.popen(
            [virtiofsd, f"--socket-path={sock}", "-o", f"source={source}", "-o", f"cache={cache}", "-o", "sandbox=chroot"],
            self.results / "virtiofsd.log",
        )
        deadline = time.monotonic() + 10
        while not sock.exists():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"virtiofsd does not start: {(self.results / 'virtiofsd.log').read_text()[-500:]}")
            time.sleep(0.02)
        return ["-chardev", f"socket,id={tag},path={sock}", "-device", f"vhost-user-fs-pci,chardev={tag},tag={tag}"]

    def start(self):
        kvm = has_kvm()
        log(f"booting {self.kernel.parent.name.removeprefix('kernel-')} " + ("under KVM" if kvm else "under TCG"))
        shares = self.share("host", "/", "always") + self.share("results", self.results, "none")
        append = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check random.trust_cpu=on"
        return self.popen(
            [
                QEMU, "-nodefaults", "-no-reboot", "-display", "none", "-machine", "q35",
                "-accel", "kvm" if kvm else "tcg,thread=multi", "-cpu", "host" if kvm else "max", "-smp", "2",
                "-m", MEMORY, "-object", f"memory-backend-memfd,id=mem,size={MEMORY}M,share=on", "-numa", "node,memdev=mem",
                "-kernel", self.kernel, "-initrd", self.initramfs, "-append", append,
                "-device", "virtio-rng-pci", "-serial", f"file:{self.results / 'console.log'}", *shares,
            ],
            self.results / "qemu.log",
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=Path, default=HERE, help="folder of the tests, with their conftest.py")
    parser.add_argument("--results", type=Path, default=REPO / "build" / "test-logs" / "vm")
    parser.add_argument("--timeout", type=int, default=600, help="seconds for the tests in the guest")
    parser.add_argument("--machines", type=int, default=1, choices=range(1, 9), metavar="COUNT", help="how many to have at once")
    options, arguments = parser.parse_known_args()
    if platform.machine() != "x86_64":
        log("this kernel is for x86_64 only")
        return 1
    if os.geteuid():
        log("run as root: the guest's file system is the host's")
        return 1
    for wanted in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, lambda *_: sys.exit(143))

    results = options.results.resolve()
    shutil.rmtree(results, ignore_errors=True)
    count = options.machines
    folders = [results] if count == 1 else [results / str(number) for number in range(count)]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / "command").write_text(
            f"BTNS_BUILD={shlex.quote(os.environ.get('BTNS_BUILD', str(REPO / 'build')))}\n"
            f"BTNS_ROOT={shlex.quote(os.environ.get('BTNS_ROOT', ''))}\n"
            f"BTNS_PART={number}/{count}\n"
            f"tests={shlex.quote(str(options.tests.resolve()))}\n"
            f"seconds={options.timeout}\n"
            f"arguments=({' '.join(map(shlex.quote, arguments))})\n"
        )
    net.sweep()
    try:
        run_machines(folders, options.timeout)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        log(f"error: {error}")
        return 1
    return next((status for status in map(verdict, folders) if status), 0)


def run_machines(folders, timeout):
    """Have a guest for each folder, and show what they say, as it comes and in whole lines."""
    kernel, initramfs, _ = prepare()
    deadline = time.monotonic() + timeout + START
    with contextlib.ExitStack() as stack:
        guests = [stack.enter_context(Machine(kernel, initramfs, folder)).start() for folder in folders]
        shown = [0] * len(folders)
        running = True
        while running:
            running = any([guest.poll() is None for guest in guests])
            for number, folder in enumerate(folders):
                output = folder / "output.log"
                text = output.read_bytes()[shown[number]:] if output.exists() else b""
                text = text[:text.rfind(b"\n") + 1] if running else text
                sys.stdout.buffer.write(text)
                shown[number] += len(text)
            sys.stdout.flush()
            if running and time.monotonic() > deadline:
                log("the guest takes too long")
                break
            time.sleep(0.3)


def verdict(folder):
    """The status that a guest has left in a folder; 1 if it left none."""
    status = folder / "status"
    if status.exists():
        return int(status.read_text())
    console = folder / "console.log"
    log(f"the guest left no verdict; the end of {console}:")
    print(console.read_text(errors="replace")[-3000:] if console.exists() else "nothing", file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
