"""What a real server does with a damaged, torn, foreign, locked or full data folder: it refuses what it cannot trust and names the file, and keeps
all that was acknowledged.

The server unseals itself (static seal), so that a restart needs nobody. Formats: docs/formats/log.md, current.md, state.md.
"""
import json
import os
import re
import signal
import stat
import subprocess

import harness

CONFIG = '''
storage "raft" {{
  path = "{folder}"
  node_id = "n1"
  {more}
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
seal "aesgcm" {{
  keys = ["Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY="]
}}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:8201"
disable_mlock = true
'''
BLOCK = 4096
FRAME = b"CFF1"
TMPFS_MEBIBYTES = 96


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


class Stored(harness.Contract):
    """A server over a data folder: starts, fills, reads back."""

    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        self.data.mkdir()

    def write_config(self, more="", port=8200, name="server.hcl"):
        path = self.folder / name
        path.write_text(CONFIG.format(folder=self.data, more=more, port=port))
        return path

    def launch(self, more=""):
        """A server that serves; the first time it is initialised."""
        self.server = self.start(f"-config={self.write_config(more)}")
        self.server.wait_for_http()
        if harness.http("GET", "/v1/sys/health")[0] == 501:
            status, body = harness.http("POST", "/v1/sys/init", body={"secret_shares": 1, "secret_threshold": 1})
            self.assertEqual(status, 200, body)
            self.token = body["root_token"]
            harness.wait_until(lambda: harness.http("GET", "/v1/sys/health")[0] == 200, "unsealed")
            status, body = harness.http("POST", "/v1/sys/mounts/secret", self.token, {"type": "kv", "options": {"version": "2"}})
            self.assertEqual(status, 204, body)
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/health")[0] == 200, "unsealed by itself")
        return self.server

    def put(self, number):
        return harness.http("POST", f"/v1/secret/data/k{number}", self.token, {"data": {"n": f"value-{number:06d}", "pad": "x" * 200}})

    def fill(self, count, first=0):
        for number in range(first, first + count):
            status, body = self.put(number)
            self.assertEqual(status, 200, body)

    def read_back(self, count):
        for number in range(count):
            status, body = harness.http("GET", f"/v1/secret/data/k{number}", self.token)
            self.assertEqual(status, 200, (number, body))
            self.assertEqual(body["data"]["data"]["n"], f"value-{number:06d}")

    def refused(self, *words):
        """A start that ends with exit code 1 and says why."""
        done = subprocess.run([harness.VAULT, "server", f"-config={self.write_config()}"], capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, **self.environment))
        output = done.stdout + done.stderr
        self.assertEqual(done.returncode, 1, output)
        for word in words:
            self.assertRegex(output, word)
        return output

    def segments(self):
        return sorted((self.data / "log").glob("log-*.seg"))

    def frames(self):
        """(segment, offset, size of the body) of every frame of the newest segment, from docs/formats/log.md."""
        path = self.segments()[-1]
        content = path.read_bytes()
        out = []
        sequence = int(path.stem.split("-")[1], 16)
        offset = BLOCK
        while content[offset:offset + 4] == FRAME and int.from_bytes(content[offset + 8:offset + 16], "little") == sequence:
            body = int.from_bytes(content[offset + 32:offset + 36], "little")
            out.append((path, offset, body))
            offset += -(-(40 + body) // BLOCK) * BLOCK
        return out

    def state_file(self):
        files = sorted(self.data.glob("*.mdb"))
        self.assertEqual(len(files), 1, files)
        return files[0]


class Damage(Stored):
    def test_flipped_bit_in_a_log_record(self):
        server = self.launch()
        self.fill(40)
        server.stop(signal.SIGKILL)
        frames = self.frames()
        self.assertGreater(len(frames), 20)
        path, offset, body = frames[len(frames) // 2]
        flip(path, offset + 40 + body // 2)
        output = self.refused(re.escape(path.name), r"(?i)restore|snapshot|backup")
        self.assertNotIn("value-", output)
        self.refused(re.escape(path.name))  # and again: nothing was repaired or removed
        flip(path, offset + 40 + body // 2)
        self.launch()
        self.read_back(40)

    def test_flipped_bit_in_a_log_header(self):
        server = self.launch()
        self.fill(10)
        server.stop(signal.SIGKILL)
        flip(self.segments()[-1], 20)
        self.refused(re.escape(self.segments()[-1].name))

    def test_torn_tail(self):
        """What a crash can leave of the last frame: it was never acknowledged, so it is written here behind the acknowledged ones."""
        server = self.launch()
        self.fill(30)
        server.stop(signal.SIGKILL)
        path, offset, body = self.frames()[-1]
        end = offset + -(-(40 + body) // BLOCK) * BLOCK
        whole = path.read_bytes()[offset:end]
        number = int.from_bytes(whole[16:24], "little") + 1
        torn = whole[:16] + number.to_bytes(8, "little") + end.to_bytes(8, "little") + whole[32:]
        with open(path, "r+b") as file:
            file.seek(end)
            file.write(torn[:len(torn) // 2])  # its checksum fits nothing
        self.launch()
        self.read_back(30)
        self.fill(5, first=30)
        self.server.stop(signal.SIGKILL)
        self.launch()
        self.read_back(35)

    def test_zeroed_last_frame_loses_only_that(self):
        """Harsher than a crash: the last acknowledged frame is gone as if it had never been synced. All before it is there."""
        server = self.launch()
        self.fill(30)
        server.stop(signal.SIGKILL)
        path, offset, body = self.frames()[-1]
        with open(path, "r+b") as file:
            file.seek(offset + 64)
            file.write(bytes(body - 24))
        self.launch()
        self.read_back(29)

    def wait_for_flush(self):
        """Until LMDB holds the 300 secrets: the overlay is committed to it when it is ten seconds old."""
        state = self.state_file()
        harness.wait_until(lambda: state.stat().st_size > 300 * 250, "the overlay is committed to the state", seconds=60)

    def test_flipped_bit_in_the_state(self):
        """LMDB checks no page: the scrub that begins at start finds it, the node stops and names the file."""
        server = self.launch()
        self.fill(300)
        state = self.state_file()
        self.wait_for_flush()
        server.stop()
        content = state.read_bytes()
        # Pages full of sealed bytes: leaves, which LMDB fills from their end, so this is in a value. Some may be free by now.
        leaves = [at for at in range(4 * BLOCK, len(content), BLOCK) if len(set(content[at:at + BLOCK])) > 200]
        self.assertGreater(len(leaves), 3)
        for at in leaves:
            flip(state, at + BLOCK - 100)
        server = self.start(f"-config={self.write_config()}")
        server.wait_for_line(re.escape(state.name))
        harness.wait_until(lambda: server.process.poll() is not None, "the node has stopped")
        server.reader.join()
        self.assertEqual(server.process.returncode, 1, server.output())
        self.assertRegex(server.output(), r"(?i)restore|snapshot|backup")
        self.assertNotIn("value-", server.output())

    def test_missing_current_beside_a_state(self):
        server = self.launch()
        self.fill(300)
        self.wait_for_flush()
        server.stop()
        content = (self.data / "CURRENT").read_bytes()
        (self.data / "CURRENT").unlink()
        self.refused("CURRENT")
        self.assertFalse((self.data / "CURRENT").exists())
        (self.data / "CURRENT").write_bytes(content[:-2])
        self.refused("CURRENT")
        (self.data / "CURRENT").write_bytes(content)
        self.launch()
        self.read_back(300)

    def test_missing_log_segment(self):
        server = self.launch()
        self.fill(300)
        self.wait_for_flush()
        server.stop()
        segment = self.segments()[-1]
        segment.rename(self.folder / "kept")
        self.refused(r"log")
        for made in self.segments():
            made.unlink()
        (self.folder / "kept").rename(segment)
        self.launch()
        self.read_back(300)

    def test_missing_log_of_a_young_node(self):
        server = self.launch()
        self.fill(3)
        server.stop()
        kept = self.folder / "kept"
        (self.data / "log").rename(kept)
        self.refused(r"log folder .*/log has no log in it")
        (self.data / "log").rmdir()
        kept.rename(self.data / "log")
        self.launch()
        self.read_back(3)

    def test_second_server_is_refused(self):
        self.launch()
        self.fill(1)
        path = self.write_config(port=8300, name="second.hcl")
        done = subprocess.run([harness.VAULT, "server", f"-config={path}"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout + done.stderr, rf"(?s){re.escape(str(self.data))}.*(in use|lock)")
        self.read_back(1)

    def test_modes(self):
        self.data.rmdir()  # made by the server
        old = os.umask(0)
        try:
            self.launch()
        finally:
            os.umask(old)
        self.fill(3)
        for path in [self.data, *self.data.rglob("*")]:
            mode = stat.S_IMODE(path.stat().st_mode)
            self.assertEqual(mode, 0o700 if path.is_dir() else 0o600, f"{path}: {mode:o}")


class FullDisk(Stored):
    """A data folder on a small disk of its own."""

    def setUp(self):
        super().setUp()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MEBIBYTES}m,mode=0700", "none", self.data], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.data], check=True)
        self.ballast = self.data / "ballast"

    def fill_disk(self, left_bytes):
        free = os.statvfs(self.data)
        self.ballast.write_bytes(b"")
        with open(self.ballast, "ab") as file:
            remaining = free.f_bavail * free.f_frsize - left_bytes
            os.posix_fallocate(file.fileno(), 0, remaining)

    def test_watermark(self):
        """Below min_free_bytes writes are refused and reads go on; when there is room again, writes work without a restart."""
        self.launch(more="min_free_bytes = 8388608")
        self.fill(20)
        self.fill_disk(left_bytes=4 << 20)
        status, body = harness.wait_until(lambda: (lambda answer: answer if answer[0] != 200 else None)(self.put(20)), "a write is refused")
        self.assertEqual(status, 503, body)
        self.assertIn("disk", json.dumps(body))
        self.read_back(20)
        self.server.wait_for_line("the disk is almost full")
        self.ballast.unlink()
        harness.wait_until(lambda: self.put(20)[0] == 200, "writes are taken again")
        self.server.stop(signal.SIGKILL)
        self.launch(more="min_free_bytes = 8388608")
        self.read_back(21)

    def test_no_room_at_all(self):
        """Without a watermark the disk's own refusal stops writes before anything is acknowledged; what was acknowledged is all there."""
        self.launch(more="min_free_bytes = 0")
        self.fill(10)
        self.fill_disk(left_bytes=0)
        acknowledged = 10
        while acknowledged < 20000:
            try:
                status, body = harness.http("POST", f"/v1/secret/data/k{acknowledged}", self.token,
                                            {"data": {"n": f"value-{acknowledged:06d}", "pad": os.urandom(200000).hex()}})
            except OSError:
                break  # the node stopped: a write of the log failed, and nothing after it can be trusted
            if status != 200:
                self.assertIn(status, (500, 503), body)
                break
            acknowledged += 1
        self.assertLess(acknowledged, 20000)
        try:
            self.assertEqual(harness.http("GET", "/v1/secret/data/k0", self.token)[0], 200)
        except (OSError, AssertionError):
            harness.wait_until(lambda: self.server.process.poll() is not None, "a node that cannot write ends")
            self.assertEqual(self.server.process.returncode, 1)
        if self.server.process.poll() is None:
            self.server.stop(signal.SIGKILL)
        self.ballast.unlink()
        self.launch(more="min_free_bytes = 0")
        self.read_back(acknowledged)
        self.fill(1, first=acknowledged + 1)


if __name__ == "__main__":
    harness.main()
