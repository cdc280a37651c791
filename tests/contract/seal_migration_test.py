"""A store goes from one seal to another (`disabled = "true"`, `operator unseal -migrate`): from Shamir's shares to a seal that opens by itself, between two
such seals of different and of one kind, and back; and each node of a cluster in turn."""
import json
import signal
import sys

import cluster_test
import harness
import hsm_test
import rekey_test

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

WRONG = "/" * 44  # as long as a share
OTHER = rekey_test.STATIC.replace('"one"', '"two"').replace("Z3M5", "Z3M6")


def disabled(stanza):
    return stanza.replace("{", '{\n  disabled = "true"', 1)


class Migration(hsm_test.WithToken, harness.Contract):
    server = rekey_test.Rekey.server
    unsealed = rekey_test.Rekey.unsealed
    unseal = rekey_test.Rekey.unseal
    row = rekey_test.Rekey.row

    def told(self):
        return harness.http("GET", "/v1/sys/seal-status")[1]

    def restarted(self, before, stanza):
        self.assertEqual(before.stop(), 0)
        return self.server(stanza)

    def migrates(self, server, keys, kinds, shown=3):
        """With the first shares, from one kind to the other."""
        server.wait_for_line("entering seal migration mode")
        told = self.told()
        self.assertEqual((told["migration"], told["sealed"], told["type"]), (True, True, kinds[0]))
        self.shell("vault status", code=2)
        self.assertEqual(self.row("Seal Migration in Progress"), "true")
        output = self.shell(f"vault operator unseal {keys[0]}", code=2)
        self.assertIn("migrate option not provided and seal migration is pending", output)
        for key in keys[:shown]:
            self.shell(f"vault operator unseal -migrate {key}")
        self.assertEqual(self.row("Sealed"), "false")
        server.wait_for_line("seal migration complete")
        told = self.told()
        self.assertEqual((told["migration"], told["sealed"], told["type"]), (False, False, kinds[1]))
        self.assertTrue(harness.http("GET", "/v1/sys/seal-backend-status")[1]["fully_wrapped"])
        self.shell("vault kv get -field=value secret/a")
        self.assertEqual(self.stdout.strip(), "kept")

    def opens_alone(self, server, stanza):
        """After a restart with the new seal alone."""
        server = self.restarted(server, stanza)
        self.unsealed_by_itself()
        self.assertEqual(self.told()["migration"], False)
        return server

    def test_there_and_back(self):
        self.make_token()
        server, keys = self.unsealed()
        self.shell("vault secrets enable -path=secret kv-v2 && vault kv put secret/a value=kept")
        server = self.restarted(server, rekey_test.STATIC)
        self.shell(f"vault operator unseal -migrate {WRONG}")
        self.shell("vault operator unseal -reset")
        self.migrates(server, keys, ("shamir", "static"))
        server = self.opens_alone(server, rekey_test.STATIC)
        output = self.shell("vault operator seal && vault operator unseal -migrate " + keys[0], code=2)
        self.assertIn("no migration seal found", output)
        server = self.restarted(server, disabled(rekey_test.STATIC) + self.seal())
        self.migrates(server, keys[1:], ("static", "pkcs11"))
        server = self.opens_alone(server, disabled(rekey_test.STATIC) + self.seal())  # a stanza that was forgotten
        # The same people have the recovery shares now.
        self.shell("vault operator generate-root -init -format=json")
        nonce = json.loads(self.stdout)["nonce"]
        for key in keys[:3]:
            self.shell(f"vault operator generate-root -nonce={nonce} {key}")
        self.assertRegex(self.stdout, r"Complete +true")
        server.stop()
        (self.folder / "server.hcl").write_text(rekey_test.CONFIG.format(folder=self.folder, more=disabled(self.seal()), type="raft", node='node_id = "vault-1"'))
        self.assertRegex(self.shell(f"vault operator diagnose -config={self.folder}/server.hcl", code=None), r"success \] Check Disabled Seal")
        server = self.server(disabled(self.seal()))
        self.migrates(server, keys[2:], ("pkcs11", "shamir"))
        server = self.restarted(server, "")
        for key in keys[:3]:
            self.shell(f"vault operator unseal {key}")
        self.assertEqual(self.row("Sealed"), "false")

    def test_of_one_kind(self):
        server = self.server(rekey_test.STATIC)
        self.shell("vault operator init -recovery-shares=2 -recovery-threshold=2 -format=json")
        made = json.loads(self.stdout)
        self.environment["VAULT_TOKEN"] = made["root_token"]
        self.shell("vault secrets enable -path=secret kv-v2 && vault kv put secret/a value=kept")
        server = self.restarted(server, disabled(rekey_test.STATIC) + OTHER)
        server.wait_for_line("entering seal migration mode")
        messages, services = coffer_grpc.load("sys")
        with grpc.insecure_channel("127.0.0.1:8210") as channel:
            seals = services.SysStub(channel)
            with self.assertRaises(grpc.RpcError) as refused:
                seals.Unseal(messages.UnsealRequest(key=made["recovery_keys_b64"][1]))
            self.assertIn("seal migration is pending", refused.exception.details())
            told = seals.Unseal(messages.UnsealRequest(key=made["recovery_keys_b64"][1], migrate=True))
            self.assertEqual((told.migration, told.sealed, told.progress), (True, True, 1))
        self.shell("vault operator unseal -reset")
        self.migrates(server, made["recovery_keys_b64"], ("static", "static"), shown=2)
        server = self.opens_alone(server, disabled(rekey_test.STATIC) + OTHER)
        server = self.restarted(server, rekey_test.STATIC)
        server.wait_for_line("cannot unseal")
        self.assertEqual(self.told()["sealed"], True)

    def test_what_is_lost_meanwhile(self):
        """The old seal or the new one is away, or the server dies: nothing has changed, and the same shares do it later."""
        self.make_token()
        server, keys = self.unsealed()
        self.shell("vault secrets enable -path=secret kv-v2 && vault kv put secret/a value=kept")
        self.move_token("tokens", "away")
        server = self.restarted(server, self.seal())
        for key in keys[:2]:
            self.shell(f"vault operator unseal -migrate {key}")
        output = self.shell(f"vault operator unseal -migrate {keys[2]}", code=2)
        self.assertIn("the seal to migrate to: HSM: token_label: there is no such token", output)
        self.assertEqual(self.told()["sealed"], True)
        server.stop(signal.SIGKILL)
        self.move_token("away", "tokens")
        server = self.server(self.seal())
        self.migrates(server, keys, ("shamir", "pkcs11"))
        server.stop(signal.SIGKILL)  # what was told to be complete is
        server = self.server(self.seal())
        self.unsealed_by_itself()
        server.stop()
        (self.folder / "server.hcl").write_text(rekey_test.CONFIG.format(folder=self.folder, more=disabled(self.seal()) + disabled(rekey_test.STATIC),
                                                                         type="raft", node='node_id = "vault-1"'))
        output = self.shell(f"vault server -config={self.folder}/server.hcl", code=1)
        self.assertIn("only one disabled automatic seal", output)


class Cluster(cluster_test.Nodes):
    def test_nodes_in_turn(self):
        keys = self.cluster(shares=3)
        self.vault(1, "secrets enable -path=secret kv-v2")
        self.vault(1, "kv put secret/a value=kept")
        for n in (2, 3):  # those that do not lead
            self.nodes[n].stop()
            self.node(n, top=rekey_test.STATIC)
            self.assertEqual(self.status(n, "sys/seal-status")[1]["migration"], True)
            for key in keys:
                out = self.vault(n, f"operator unseal -migrate {key}", token=None)
            self.assertRegex(out, r"(?m)^Sealed +false$")
            self.assertEqual(self.status(n, "sys/seal-status")[1]["migration"], True)  # until one of them leads
        self.nodes[1].stop()
        leader = harness.wait_until(lambda: self.leader((2, 3)), "another leads")
        for n in (2, 3):
            harness.wait_until(lambda n=n: self.status(n, "sys/seal-status")[1]["migration"] is False, "the new leader has stored it")
            self.assertEqual(self.status(n, "sys/seal-status")[1]["type"], "static")
        self.node(1, top=rekey_test.STATIC)
        for key in keys:  # its own state is of before, until it takes part
            self.vault(1, f"operator unseal -migrate {key}", token=None)
        harness.wait_until(lambda: self.status(1, "sys/seal-status")[1]["migration"] is False, "the last one learns that it is done")
        self.nodes[1].stop()
        self.node(1, top=rekey_test.STATIC)
        harness.wait_until(lambda: self.status(1)[0] == 473, "the last one is unsealed by itself", 20)
        self.vault(leader, "kv put secret/a value=new")
        self.assertEqual(self.vault(1, "kv get -field=value secret/a").strip(), "new")


if __name__ == "__main__":
    harness.main()
