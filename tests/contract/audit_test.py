"""Contracts of the audit step: S0-05, S0-12, S0-19, S0-30, S4-120, S4-123…S4-125."""
import json
import os
import pathlib
import secrets

import harness


class Audit(harness.Contract):
    def setUp(self):
        super().setUp()
        for folder in ("/var/log", "/vault/logs"):
            for old in pathlib.Path(folder).iterdir():
                old.unlink()
        self.dev()

    def lines(self, path):
        return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]

    def test_audit_file_transcript(self):
        self.transcript("audit_file")

    def test_audit_lines_transcript(self):
        self.transcript("audit_lines")

    def test_S0_05_S0_19_enable(self):
        self.shell("vault audit enable file file_path=/var/log/vault_audit.log")
        self.assertEqual(self.stdout, "Success! Enabled the file audit device at: file/\n")
        self.assertEqual(os.stat("/var/log/vault_audit.log").st_mode & 0o7777, 0o600)
        self.shell("vault kv put secret/x a=1")
        self.shell("tail -n +1 /var/log/vault_audit.log")
        for line in self.stdout.splitlines():
            self.assertIn(json.loads(line)["type"], ("request", "response"))
        output = self.shell("vault audit enable file file_path=/var/log/vault_audit.log", code=2)
        self.assertIn("path already in use", output)
        self.shell("vault audit list")
        self.assertEqual([line.split() for line in self.stdout.splitlines()], [["Path", "Type", "Description"], ["----", "----", "-----------"],
                                                                              ["file/", "file", "n/a"]])
        self.shell("vault audit disable file")
        self.assertEqual(self.stdout, "Success! Disabled audit device (if it was enabled) at: file/\n")
        before = len(self.lines("/var/log/vault_audit.log"))
        self.shell("vault kv get secret/x")
        self.assertEqual(len(self.lines("/var/log/vault_audit.log")), before)

    def test_S0_05_needs_sudo(self):
        self.shell("vault policy write weak -", stdin='path "sys/audit/*" { capabilities = ["create", "update"] }')
        token = self.shell("vault token create -policy=weak -field=token").strip()
        self.shell("vault audit enable file file_path=/var/log/a.log", code=2, env={"VAULT_TOKEN": token})
        self.assertFalse(os.path.exists("/var/log/a.log"))

    def test_S0_12_mode(self):
        self.shell("vault audit enable file file_path=/var/log/vault_audit.log mode=0640")
        self.assertEqual(self.stdout, "Success! Enabled the file audit device at: file/\n")
        self.shell("stat -c %a /var/log/vault_audit.log")
        self.assertEqual(self.stdout, "640\n")

    def test_S0_30_nothing_before_a_device(self):
        self.shell("vault kv put secret/early a=1")
        self.shell("vault audit enable file file_path=/var/log/vault_audit.log")
        self.assertNotIn("early", pathlib.Path("/var/log/vault_audit.log").read_text())

    def test_S4_120_to_S4_125(self):
        self.shell("vault secrets enable -path=team-alpha -version=2 kv")
        self.shell("vault audit enable file file_path=/vault/logs/audit.log")
        secret = secrets.token_hex(16)
        token = self.shell("vault token create -field=token").strip()
        self.shell(f'vault kv put team-alpha/api-key key="{secret}"', env={"VAULT_TOKEN": token})
        self.shell("vault kv get team-alpha/api-key", env={"VAULT_TOKEN": token})
        self.shell("timeout 5 tail -f /vault/logs/audit.log | head -5")
        self.assertEqual(len([json.loads(line) for line in self.stdout.splitlines()]), 5)
        entries = self.lines("/vault/logs/audit.log")
        reads = [e for e in entries if e["request"].get("path") == "team-alpha/data/api-key" and e["request"]["operation"] == "read"]
        self.assertEqual([e["type"] for e in reads], ["request", "response"])
        answer = reads[1]
        self.assertRegex(answer["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.assertRegex(answer["auth"]["client_token"], r"^hmac-sha256:[0-9a-f]{64}$")
        self.assertIn("root", answer["auth"]["policies"])
        hashed = answer["response"]["data"]["data"]["key"]
        self.assertRegex(hashed, r"^hmac-sha256:[0-9a-f]{64}$")
        status, body = harness.http("POST", "/v1/sys/audit-hash/file", "root", {"input": secret})
        self.assertEqual((status, body["data"]["hash"]), (200, hashed))
        writes = [e for e in entries if e["request"]["operation"] in ("create", "update") and e["type"] == "request"
                  and e["request"]["path"] == "team-alpha/data/api-key"]
        self.assertEqual(writes[0]["request"]["data"]["data"]["key"], hashed)
        text = pathlib.Path("/vault/logs/audit.log").read_text()
        for hidden in (secret, token):
            self.assertNotIn(hidden, text)

    def test_two_lines_a_request(self):
        self.shell("vault audit enable file file_path=/var/log/vault_audit.log")
        before = len(self.lines("/var/log/vault_audit.log"))
        for number in range(50):
            harness.http("POST", f"/v1/secret/data/n{number}", "root", {"data": {"a": number}})
            harness.http("GET", f"/v1/secret/data/n{number}", "root")
            harness.http("GET", f"/v1/secret/data/n{number}", "wrong-token")
        entries = self.lines("/var/log/vault_audit.log")[before:]
        self.assertEqual(len(entries), 300)
        self.assertEqual(sum(e["type"] == "request" for e in entries), 150)

    def test_bad_options(self):
        for options, word in [("", "file_path"), ("file_path=/var/log/x.log mode=0777", "mode"), ("file_path=/var/log/x.log mode=04755", "mode"),
                              ("file_path=/var/log/x.log prefix='#!/bin/sh'", "prefix"), ("file_path=/proc/no/such/x.log", "file_path"),
                              ("path=/var/log/x.log mode=0755", "mode")]:
            with self.subTest(options=options):
                output = self.shell(f"vault audit enable file {options}", code=2)
                self.assertIn("Code: 400", output)
                self.assertIn(word, output)
        self.assertFalse(os.path.exists("/var/log/x.log"))
        output = self.shell("vault audit enable teleprinter", code=2)
        self.assertIn("teleprinter", output)


if __name__ == "__main__":
    harness.main()
