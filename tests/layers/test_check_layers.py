#!/usr/bin/env python3
"""check_layers.py on small trees that are right but for one thing: each must be caught, and named with its line."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHECKER = os.path.join(ROOT, "scripts", "check_layers.py")

CLEAN = {
    "include/tumble/error.h": "#include <stdint.h>\n",
    "engine/base/heap.h": "#include <tumble/error.h>\n",
    "engine/base/alloc.c": '#include <stdlib.h>\nvoid *tw_get(void) { return malloc(1); }\n',
    "engine/codec/hash.c": '#include <xxhash.h>\n#include "engine/base/heap.h"\n',
    "engine/event/event.h": '#include "engine/base/heap.h"\n',
    "engine/aggregate/aggregate.h": '#include "engine/base/heap.h"\n',
    "engine/window/window.c": '#include "engine/aggregate/aggregate.h"\n#include "engine/event/event.h"\n',
    "emulator/emulator.h": "#include <tumble/error.h>\n",
    "emulator/sharder.h": "#include <tumble/error.h>\n",
    "cli/main.c": '#include <tumble/error.h>\n#include "emulator/emulator.h"\n',
    "tests/unit/base/test_heap.c": '#include <cmocka.h>\n#include "engine/base/heap.h"\n#include "helper.h"\n',
    "tests/unit/helper.h": "int helper(void);\n",
}


class Tree(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        os.makedirs(os.path.join(self.root, "docs"))
        shutil.copy(os.path.join(ROOT, "docs", "layers.md"), os.path.join(self.root, "docs"))
        for path, text in CLEAN.items():
            self.write(path, text)

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def check(self, *more):
        run = subprocess.run([sys.executable, CHECKER, "--root", self.root, *more], capture_output=True, text=True)
        return run.returncode, run.stdout + run.stderr

    def refused(self, path, text, *expected):
        self.write(path, text)
        code, said = self.check()
        self.assertEqual(code, 1, said)
        self.assertEqual(len(said.splitlines()), 1, said)
        for part in (path, *expected):
            self.assertIn(part, said)


class CheckSources(Tree):
    def test_a_clean_tree_passes(self):
        self.assertEqual(self.check(), (0, ""))

    def test_an_arrow_to_the_right_is_caught_with_file_and_line(self):
        self.refused("engine/base/heap.c", '\n#include "engine/event/event.h"\n', "heap.c:2:", "layer base", "layer event")

    def test_siblings_may_not_include_each_other(self):
        self.refused("engine/event/bad.c", '#include "engine/aggregate/aggregate.h"\n', "layer event", "layer aggregate")

    def test_the_command_sees_only_the_emulators_public_header(self):
        self.refused("cli/bad.c", '#include "emulator/sharder.h"\n', "layer cli", "emulator/sharder.h")

    def test_the_command_does_not_see_the_engines_inside(self):
        self.refused("cli/bad.c", '#include "engine/base/heap.h"\n', "layer cli", "layer base")

    def test_a_unit_test_is_bound_by_its_layer(self):
        self.refused("tests/unit/base/test_bad.c", '#include "engine/event/event.h"\n', "layer base", "layer event")

    def test_an_outside_header_has_one_owner(self):
        self.refused("engine/codec/other.c", "#include <xxhash.h>\n", "belongs to engine/codec/hash.c")

    def test_an_outside_header_without_owner_is_caught(self):
        self.refused("engine/codec/other.c", "#include <uv.h>\n", "has no owner")

    def test_a_public_header_takes_only_the_c_library(self):
        self.refused("include/tumble/bad.h", "#include <unistd.h>\n", "public header")

    def test_a_relative_include_is_caught(self):
        self.refused("engine/base/bad.c", '#include "heap.h"\n', "not a path from the root")

    def test_malloc_outside_its_file_is_caught(self):
        self.refused("engine/base/bad.c", "void *tw_x(void)\n{ return malloc (3); }\n", "bad.c:2:", "malloc()")

    def test_a_banned_function_is_caught(self):
        self.refused("cli/bad.c", "int x(void) { return atoi(\"1\"); }\n", "atoi()")

    def test_comments_strings_and_members_are_not_calls(self):
        self.write("cli/good.c", '/* malloc(1)\n free(2) */ // atoi(3)\nconst char *x = "free(1) \\" malloc(";\nvoid f(struct a *a) { a->free(a); }\n')
        self.assertEqual(self.check(), (0, ""))

    def test_a_commented_include_is_not_an_arrow(self):
        self.write("engine/base/good.c", '/*\n#include "engine/event/event.h"\n*/\n')
        self.assertEqual(self.check(), (0, ""))

    def test_a_file_in_no_layer_is_caught(self):
        self.refused("misc/odd.c", "\n", "stands in no layer")

    def test_a_file_name_used_twice_is_caught(self):
        self.refused("engine/event/heap.h", "\n", "taken by engine/base/heap.h")

    def test_a_page_without_tables_is_an_error(self):
        self.write("docs/layers.md", "# nothing\n")
        code, said = self.check()
        self.assertEqual(code, 2, said)


class CheckLibraries(Tree):
    def library(self, layer, source):
        build = os.path.join(self.root, "build")
        os.makedirs(build, exist_ok=True)
        c, o = os.path.join(build, "x.c"), os.path.join(build, "x.o")
        with open(c, "w", encoding="utf-8") as out:
            out.write(source)
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-fno-builtin", "-fstack-protector-all", "-c", c, "-o", o], check=True)
        library = os.path.join(build, f"libtumble_{layer}.a")
        subprocess.run(["ar", "rcs", library, o], check=True)
        return self.check("--build", build)

    def test_memory_strings_maths_and_our_own_are_imports(self):
        code, said = self.library("event", "#include <string.h>\n#include <math.h>\nvoid tw_other(void);\ndouble tw_f(char *a, double x)\n"
                                  "{ char b[64]; memcpy(b, a, 64); tw_other(); return ceil(x) + fmodf(1, 2) + (double)strlen(b); }\n")
        self.assertEqual((code, said), (0, ""))

    def test_input_and_output_are_not(self):
        code, said = self.library("window", "#include <stdio.h>\nint tw_f(void) { return puts(\"x\"); }\n")
        self.assertEqual(code, 1, said)
        self.assertIn("layer window may import only", said)
        self.assertIn("puts", said)

    def test_the_engine_reads_no_clock(self):
        code, said = self.library("engine", "#include <time.h>\nlong tw_f(void) { return (long)time(0); }\n")
        self.assertEqual(code, 1, said)
        self.assertIn("layer engine may not import time", said)

    def test_an_export_without_prefix_is_caught(self):
        code, said = self.library("base", "int heap(void) { return 1; }\n")
        self.assertEqual(code, 1, said)
        self.assertIn("exports heap", said)

    def test_a_build_directory_without_libraries_is_an_error(self):
        code, said = self.check("--build", os.path.join(self.root, "docs"))
        self.assertEqual(code, 1, said)
        self.assertIn("build first", said)


if __name__ == "__main__":
    unittest.main()
