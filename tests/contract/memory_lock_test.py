"""S4-185: what `--cap-add=IPC_LOCK` is for. A capability of the machine cannot be had in a test's own namespace; the limit that it lifts can be set."""
import re
import resource

import harness
from operator_test import CONFIG

WARNING = "memory for keys could not be locked: raise RLIMIT_MEMLOCK or grant CAP_IPC_LOCK"
ARENA_KIB = 1024


class MemoryLock(harness.Contract):
    def served(self, disable_mlock, limit_bytes):
        (self.folder / "data").mkdir(exist_ok=True)
        config = self.folder / "server.hcl"
        config.write_text(CONFIG.format(folder=self.folder, more="", type="raft", node='node_id = "vault-1"').replace("disable_mlock = true", disable_mlock))
        server = self.start(f"-config={config}", limits={resource.RLIMIT_MEMLOCK: (limit_bytes, limit_bytes)})
        server.wait_for_http()
        locked = int(re.search(r"VmLck:\s+(\d+) kB", open(f"/proc/{server.process.pid}/status", encoding="ascii").read()).group(1))
        diagnosis = self.shell(f"ulimit -l {limit_bytes // 1024}; vault operator diagnose -config={config}", code=None)
        self.assertEqual(server.stop(), 0)
        return locked, WARNING in server.output(), diagnosis

    def test_S4_185_memory_is_locked_where_it_may_be(self):
        locked, warned, diagnosis = self.served("disable_mlock = false", 4 << 20)
        self.assertGreaterEqual(locked, ARENA_KIB)
        self.assertFalse(warned)
        self.assertRegex(diagnosis, r"success \] Check Memory Lock")
        locked, warned, diagnosis = self.served("disable_mlock = false", 0)
        self.assertEqual(locked, 0)
        self.assertTrue(warned)
        self.assertRegex(diagnosis, r"warning \] Check Memory Lock: memory for keys cannot be locked")
        locked, warned, diagnosis = self.served("disable_mlock = true", 0)
        self.assertFalse(warned)
        self.assertRegex(diagnosis, r"warning \] Check Memory Lock: disable_mlock is set")

    def test_S4_185_the_files_to_start_from_grant_it(self):
        self.assertIn("AmbientCapabilities=CAP_IPC_LOCK", (harness.ROOT / "deploy/systemd/vault.service").read_text())
        compose = (harness.ROOT / "deploy/compose/vault-docker-compose.yml").read_text()
        self.assertEqual(compose.count("cap_add: [IPC_LOCK]"), compose.count("image:"))


if __name__ == "__main__":
    harness.main()
