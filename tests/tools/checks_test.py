"""The repository's own checks can fail: each is run on a small tree with a planted breach and must name file and line."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Checks(unittest.TestCase):
    def setUp(self):
        self.tree = pathlib.Path(tempfile.mkdtemp(prefix="coffer-checks-"))
        shutil.copytree(ROOT / "tools", self.tree / "tools", ignore=shutil.ignore_patterns("__pycache__"))

    def tearDown(self):
        shutil.rmtree(self.tree)

    def plant(self, name, text):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_tool(self, tool):
        done = subprocess.run([sys.executable, self.tree / "tools" / tool], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def expect(self, tool, name, text, *words):
        self.plant("base/fine.h", "// Fine.\n#pragma once\n")
        code, output = self.run_tool(tool)
        self.assertEqual(code, 0, output)
        self.plant(name, text)
        code, output = self.run_tool(tool)
        self.assertEqual(code, 1, output)
        for word in words:
            self.assertIn(word, output)

    def contracts(self, contracts, features, *arguments):
        self.plant("tests/contract/a_test.py", "class A:\n    def test_it(self):\n        pass\n")
        self.plant("docs/contracts.md", contracts)
        self.plant("docs/features.md", features)
        done = subprocess.run([sys.executable, self.tree / "tools/contracts.py", *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout

    def test_contracts_and_features(self):
        good = "| S0-01 | x | `contract/a_test.py::A.test_it` |\n| S0-02 | x | not yet: later |\n"
        row = "| A-01 | x | done | `contract/a_test.py::A.test_it` |\n"
        self.assertEqual(self.contracts(good, row)[0], 0)
        for contracts, features, word in (
                ("| S0-01 | x | `contract/a_test.py::A.test_other` |\n", row, "has no test A.test_other"),
                ("| S0-01 | x | not yet: |\n", row, "is not `file::test`"),
                (good, "| A-01 | ★ x | declined: no | |\n", "a mandatory feature is declined"),
                (good, "| A-01 | x | done | |\n", "done, and no test"),
                (good, "| A-01 | x | soon | |\n", "is no state")):
            code, output = self.contracts(contracts, features)
            self.assertEqual(code, 1)
            self.assertIn(word, output)
        code, output = self.contracts(good, row, "--ran", str(self.tree))
        self.assertEqual((code, "did not run, or failed" in output), (1, True))
        self.plant("a_test.py", "A.test_it\n")
        self.assertEqual(self.contracts(good, row, "--ran", str(self.tree))[0], 0)

    def advisories(self, table, mutants, product, *arguments):
        self.plant("tests/contract/a_test.py", "class A:\n    def test_it(self):\n        pass\n\n\ndef check(surface, test):\n    pass\n\n\n"
                                               'ROWS = [("A1", "a1_bug", check, SURFACES)]\n')
        rest = [f"| {letter}{i} | x | not yet: later | |\n" for letter, count in (("A", 28), ("B", 7), ("C", 6), ("D", 19), ("E", 8), ("F", 10), ("G", 13), ("H", 21),
                                                                               ("I", 8), ("J", 10), ("K", 9), ("L", 10)) for i in range(1, count + 1)]
        self.plant("docs/advisories.md", "".join([*table, *rest[len(table):]]))
        self.plant("base/mutants.inc", mutants)
        self.plant("base/a.cc", product)
        done = subprocess.run([sys.executable, self.tree / "tools/advisories.py", *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout

    def test_advisories(self):
        row = "| A1 | x | `contract/a_test.py::check` | `kBug` |\n"
        plain = "| A2 | x | `contract/a_test.py::A.test_it` | none: why |\n"
        mutant, used = 'COFFER_MUTANT(kBug, "a1_bug")\n', "if (mutant(Mutant::kBug))\n"
        self.assertEqual(self.advisories([row, plain], mutant, used), (0, self.advisories([row, plain], mutant, used)[1]))
        for table, mutants, product, word in (
                ([row.replace("::check", "::other")], mutant, used, "has no test other"),
                ([row.replace("kBug", "kOther")], mutant, used, "no mutant kOther is declared"),
                ([row.replace("`kBug`", "")], mutant, used, "neither a mutant nor a reason"),
                ([row], mutant, "", "kBug is used nowhere"),
                ([row], mutant + 'COFFER_MUTANT(kNew, "new")\n', used + "mutant(Mutant::kNew)", "no test names kNew"),
                (["| A9 | x | not yet: later | |\n"], mutant, used, "A1 is missing")):
            code, output = self.advisories(table, mutants, product)
            self.assertEqual(code, 1)
            self.assertIn(word, output)
        code, output = self.advisories([row, plain], mutant, used, "--ran", str(self.tree))
        self.assertEqual((code, output.count("did not run, or failed")), (1, 2))
        self.plant("a_test.py", "A.test_it\nX.test_A1_a1_bug_http\n")
        self.assertEqual(self.advisories([row, plain], mutant, used, "--ran", str(self.tree))[0], 0)

    def test_cases_of_boost_ran(self):
        self.plant("tests/core/a_test.cc", "BOOST_AUTO_TEST_CASE(it_holds) {\n")
        good, row = "| S0-01 | x | `core/a_test.cc::it_holds` |\n", "| A-01 | x | done | `core/a_test.cc::it_holds` |\n"
        self.assertEqual(self.contracts(good, row)[0], 0)
        self.assertEqual(self.contracts(good, row, "--ran", str(self.tree))[0], 1)
        self.plant("unit.core", "core/a_test.cc::it_holds\n")
        self.assertEqual(self.contracts(good, row, "--ran", str(self.tree))[0], 0)

    def test_upward_include(self):
        self.expect("layers.py", "base/a.h", '// A.\n#pragma once\n#include "core/b.h"\n', "base/a.h:3", "must not include core/")

    def test_leftward_only_in_a_row(self):
        self.expect("layers.py", "store/a.cc", '#include "raft/core.h"\n', "store/a.cc:1")

    def test_third_party_in_header(self):
        self.expect("layers.py", "store/a.h", "// A.\n#pragma once\n#include <lmdb.h>\n", "store/a.h:3", "lmdb.h")

    def test_two_heavy_libraries(self):
        self.expect("layers.py", "actors/a.cc", "#include <caf/all.hpp>\n#include <grpcpp/grpcpp.h>\n", "actors/a.cc:2")

    def test_raft_is_pure(self):
        self.expect("layers.py", "raft/a.cc", "#include <boost/uuid.hpp>\n", "raft/a.cc:1")

    def test_long_line(self):
        self.expect("tidy.py", "tests/core/a.cc", "int x;\n// " + "a" * 118 + "\n", "tests/core/a.cc:2", "121 columns")

    def test_long_function(self):
        body = "void f() {\n" + "  g();\n" * 80 + "}\n"
        self.expect("tidy.py", "core/a.cc", body, "core/a.cc:1", "82 lines")

    def test_long_file(self):
        self.expect("tidy.py", "core/a.cc", "int x;\n" * 1001, "1001 lines")

    def test_banned_calls(self):
        for call in ("auto t = std::chrono::system_clock::now();", "sleep_for(x);", "assert(x);", "getrandom(p, n, 0);", "// TODO later"):
            with self.subTest(call=call):
                self.expect("tidy.py", "raft/a.cc", f"int x;\n{call}\n", "raft/a.cc:2")
                (self.tree / "raft/a.cc").unlink()

    def test_header_without_contract(self):
        self.expect("tidy.py", "core/a.h", "#pragma once\nint x;\n", "begins with its contract")


if __name__ == "__main__":
    unittest.main(verbosity=1)
