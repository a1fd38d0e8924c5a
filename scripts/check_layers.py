#!/usr/bin/env python3
"""Holds the source tree to the tables of docs/layers.md.

usage: check_layers.py [--root DIR] [--build DIR]

Without --build: layers of #include, owners of outside headers, banned functions, unique names of C files.
With --build: also what the static libraries in that build directory import and export.
Prints one line per violation, file:line first; exit 1 when there is any, 2 when the tables cannot be read.
"""
import argparse
import fnmatch
import os
import re
import subprocess
import sys

SOURCE = (".c", ".h")
SKIPPED_DIRECTORIES = {".git", "build", "node_modules", "__pycache__"}

C11 = set("""assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg
stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype""".split())
PLATFORM = set("""unistd fcntl poll pthread sched dirent dlfcn strings endian byteswap getopt glob fnmatch ftw spawn
termios langinfo semaphore netdb libgen syslog malloc arm_neon arm_acle cpuid features sysexits err
execinfo regex alloca""".split())
PLATFORM_DIRECTORIES = ("sys/", "linux/", "netinet/", "arpa/", "asm/", "sanitizer/")

LIBM = set("""acos asin atan atan2 ceil copysign cos cosh erf exp exp2 expm1 fabs fdim floor fma fmax fmin fmod frexp hypot
ilogb ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround modf nan nearbyint nextafter pow remainder remquo
rint round scalbln scalbn sin sinh sqrt tan tanh tgamma trunc""".split())
COMPILER = re.compile(
    r"^(_GLOBAL_OFFSET_TABLE_|__stack_chk_\w+|__(asan|ubsan|tsan|msan|sanitizer|lsan|gcov|llvm)_\w+|llvm_\w+|mangled_path"
    r"|__assert_fail|__cpu_(model|indicator_init)|__tls_get_addr|__\w+[sdtx]i[234]|__\w+[sdtx]f[234]|__(mem|str)\w+_chk)$")


def markdown_tables(path):
    """Every table of the page: a list of (header cells, [(line number, cells)])."""
    tables, rows = [], []
    with open(path, encoding="utf-8") as page:
        for number, line in enumerate(page, 1):
            if line.startswith("|"):
                rows.append((number, [cell.strip() for cell in line.strip().strip("|").split("|")]))
            elif rows:
                tables.append((rows[0][1], rows[2:]))
                rows = []
    if rows:
        tables.append((rows[0][1], rows[2:]))
    return tables


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


class Rules:
    def __init__(self, path):
        self.layers = []     # (name, patterns, allowed names or None for everything)
        self.owners = {}     # outside header -> patterns
        self.functions = {}  # function -> (patterns, why)
        self.imports = []    # (layers, allowed patterns or None, libm allowed, forbidden patterns)
        for header, rows in markdown_tables(path):
            for _, row in rows:
                if header[0] == "layer":
                    allowed = None if row[2] == "everything" else set(names(row[2]))
                    self.layers.append((names(row[0])[0], names(row[1]), allowed))
                elif header[0] == "header":
                    for name in names(row[0]):
                        self.owners[name] = names(row[1])
                elif header[0] == "function":
                    for name in names(row[0]):
                        self.functions[name] = (names(row[1]), row[2])
                elif header[0] == "layers":
                    allowed = None if row[1] == "everything" else names(row[1])
                    self.imports.append((names(row[0]), allowed, "libm" in row[1], names(row[2])))
        if not (self.layers and self.owners and self.functions and self.imports):
            raise ValueError(f"{path}: one of the four tables (layer, header, function, layers) is missing or empty")
        known = {name for name, _, _ in self.layers}
        for name, _, allowed in self.layers:
            for target in allowed or ():
                if "/" not in target and target not in known:
                    raise ValueError(f"{path}: layer {name} may include {target}, which is no layer")

    def layer_of(self, path):
        for name, patterns, allowed in self.layers:
            if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
                return name, allowed
        return None, set()

    def rule_for(self, path):
        """The layer whose arrows bind a file: a unit test is bound by the layer it tests."""
        unit = re.match(r"tests/unit/([^/]+)/", path)
        if unit:
            for name, _, allowed in self.layers:
                if name == unit.group(1):
                    return name, None if allowed is None else allowed | {"tests"}
        return self.layer_of(path)


def fits(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def files_under(root, suffixes):
    found = []
    for directory, subdirectories, entries in os.walk(root):
        subdirectories[:] = sorted(d for d in subdirectories if d not in SKIPPED_DIRECTORIES)
        for entry in sorted(entries):
            if entry.endswith(suffixes):
                found.append(os.path.relpath(os.path.join(directory, entry), root))
    return found


def without_comments_and_strings(text):
    """The same text, line for line, with comments and the insides of literals blanked."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def is_c_library(header):
    return header.endswith(".h") and (
        header[:-2] in C11 or header[:-2] in PLATFORM or header.startswith(PLATFORM_DIRECTORIES) or header.endswith("intrin.h")
    )


def check_include(root, rules, path, header, quoted):
    """Why this #include is not allowed, or None."""
    layer, allowed = rules.rule_for(path)
    if header.startswith("tumble/"):
        target = "include/" + header
        if quoted:
            return f"public headers are included as <{header}>"
        if not os.path.exists(os.path.join(root, target)):
            return f"<{header}> does not exist"
    elif quoted:
        target = header
        if not os.path.exists(os.path.join(root, target)):
            # Tests may name their own helpers from the directory they stand in, or from tests/unit.
            beside = [os.path.join(os.path.dirname(path), header), os.path.join("tests/unit", header)]
            beside = [os.path.normpath(p) for p in beside if os.path.exists(os.path.join(root, p))]
            if not (beside and path.startswith(("tests/", "bench/"))):
                return f'"{header}" is not a path from the root of the repository'
            target = beside[0]
    else:
        if header in rules.owners:
            if fits(path, rules.owners[header]):
                return None
            return f"<{header}> belongs to {', '.join(rules.owners[header])}"
        if not is_c_library(header):
            return f"<{header}> has no owner: give it a row under \"Outside headers\""
        if layer == "public" and header[:-2] not in C11:
            return f"a public header may include C11's headers only, not <{header}>"
        return None

    target_layer, _ = rules.layer_of(target)
    if target_layer is None:
        return f"{target} stands in no layer"
    if allowed is None or target_layer == layer or target_layer in allowed or target in allowed:
        return None
    return f"layer {layer} may not include {target} (layer {target_layer})"


def check_sources(root, rules):
    problems = []
    include = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>]+)>|"([^"]+)")')
    banned = re.compile(r"(?<![\w.>])(" + "|".join(map(re.escape, rules.functions)) + r")\s*\(")
    for path in files_under(root, SOURCE):
        if rules.layer_of(path)[0] is None:
            problems.append(f"{path}:1: stands in no layer: give its directory a row under \"Layers\"")
            continue
        with open(os.path.join(root, path), encoding="utf-8") as source:
            text = source.read()
        bare = without_comments_and_strings(text)
        # The target of an #include is itself a literal, so the line is taken from the text where the bare one still has it.
        for number, (line, bare_line) in enumerate(zip(text.split("\n"), bare.split("\n")), 1):
            match = include.match(line)
            if match and "include" in bare_line:
                why = check_include(root, rules, path, match.group(1) or match.group(2), match.group(2) is not None)
                if why:
                    problems.append(f"{path}:{number}: {why}")
            for call in banned.finditer(bare_line):
                owners, why = rules.functions[call.group(1)]
                if not fits(path, owners):
                    problems.append(f"{path}:{number}: {call.group(1)}() is not used here" + (f" ({why})" if why else ""))
    return problems


def check_names(root):
    problems, seen = [], {}
    for path in files_under(root, SOURCE):
        # A public header is always written <tumble/x.h>, so that is its name.
        name = path[len("include/") :] if path.startswith("include/") else os.path.basename(path)
        if name in seen:
            problems.append(f"{path}:1: the name {name} is taken by {seen[name]}")
        seen.setdefault(name, path)
    return problems


def is_libm(name):
    return name in LIBM or (name[-1] in "fl" and name[:-1] in LIBM)


def symbols(library):
    """(object, letter, symbol) of every symbol in a static library."""
    run = subprocess.run(["nm", "-A", "--format=posix", library], capture_output=True, text=True, check=True)
    for line in run.stdout.splitlines():
        where, _, rest = line.partition(": ")
        fields = rest.split()
        if len(fields) >= 2:
            yield where[where.rfind("[") + 1 : where.rfind("]")], fields[1], fields[0]


def check_libraries(build, rules):
    problems, looked_at = [], 0
    for layer, _, _ in rules.layers:
        library = os.path.join(build, f"libtumble_{layer}.a")
        if not os.path.exists(library):
            continue
        looked_at += 1
        table = list(symbols(library))
        inside = {name for _, letter, name in table if letter not in "Uw"}
        for object_file, letter, name in table:
            if letter in "TDBRCV" and not name.startswith(("tw_", "tumble_")) and not COMPILER.match(name):
                problems.append(f"{library}:{object_file}: exports {name}, which begins with neither tw_ nor tumble_")
            if letter not in "Uw" or name in inside or name.startswith(("tw_", "tumble_")) or COMPILER.match(name):
                continue
            for layers, allowed, libm, forbidden in rules.imports:
                if layer not in layers:
                    continue
                if fits(name, forbidden):
                    problems.append(f"{library}:{object_file}: layer {layer} may not import {name}")
                elif not (allowed is None or fits(name, allowed) or (libm and is_libm(name))):
                    problems.append(f"{library}:{object_file}: layer {layer} may import only {' '.join(allowed)} and libm, not {name}")
    if looked_at == 0:
        problems.append(f"{build}: no libtumble_*.a here: build first")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--build", help="a build directory whose static libraries are checked too")
    arguments = parser.parse_args()
    try:
        rules = Rules(os.path.join(arguments.root, "docs", "layers.md"))
    except (OSError, ValueError, IndexError) as problem:
        print(problem, file=sys.stderr)
        return 2
    problems = check_sources(arguments.root, rules) + check_names(arguments.root)
    if arguments.build:
        problems += check_libraries(arguments.build, rules)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
