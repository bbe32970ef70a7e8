#!/usr/bin/env python3
"""Prints the licences of the program and of every crate that is linked into it, for packages.

Usage: packaging/notices.py [TARGET] > NOTICES

TARGET is the triple that the program is built for (that of this machine without it). Needs cargo and the sources of the
crates, which `cargo fetch` downloads. A crate without a licence file that may be used under the Apache License 2.0 gets that
text, which is the same for everyone, from another crate; one under the MIT licence gets its words with the authors that the
crate names. Fails if any other crate has no licence file, and names it.
"""
import json
import pathlib
import re
import subprocess
import sys


def metadata(target):
    """Returns cargo's metadata for one target."""
    command = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target}"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def host():
    """Returns the triple of this machine."""
    version = subprocess.run(["rustc", "-vV"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"^host: (.*)$", version, re.MULTILINE).group(1)


def linked(data):
    """Returns the packages that are linked into the program: normal dependencies, without procedural macros."""
    packages = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    found, pending = set(), [data["resolve"]["root"]]
    while pending:
        package = pending.pop()
        is_macro = any("proc-macro" in target["kind"] for target in packages[package]["targets"])
        if package in found or is_macro:
            continue
        found.add(package)
        dependencies = nodes[package]["deps"]
        pending += [dep["pkg"] for dep in dependencies if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    return sorted((packages[package] for package in found), key=lambda package: (package["name"], package["version"]))


def texts(package):
    """Returns the licence texts of a package."""
    directory = pathlib.Path(package["manifest_path"]).parent
    pattern = re.compile(r"(licen[cs]e|copying|notice|unlicense)", re.IGNORECASE)
    files = sorted(path for path in directory.iterdir() if path.is_file() and pattern.match(path.name))
    return [path.read_text(errors="replace").strip() for path in files]


def apache(packages):
    """Returns the Apache License 2.0, as most of the packages that have a file of it ship it."""
    pattern = re.compile(r"\s*Apache License\s+Version 2\.0")
    found = [text for package in packages for text in texts(package) if pattern.match(text)]
    return max(found, key=found.count)


def mit(packages, authors):
    """Returns the MIT licence of these authors, in the words that the linked crates ship."""
    words = re.compile(r"Permission is hereby granted, free of charge.*?SOFTWARE\.", re.DOTALL)
    found = [match.group() for package in packages for text in texts(package) if (match := words.search(text))]
    return f"Copyright (c) {', '.join(authors)}\n\n{max(found, key=found.count)}"


def main():
    packages = linked(metadata(sys.argv[1] if len(sys.argv) > 1 else host()))
    users = {}
    for package in packages:
        name = f"{package['name']} {package['version']} ({package['license']})"
        found = texts(package)
        if not found and "Apache-2.0" in package["license"]:
            found = [apache(packages)]
        if not found and package["license"] == "MIT":
            found = [mit(packages, package["authors"])]
        if not found:
            sys.exit(f"{name} has no licence file in its package: ask its authors to add one")
        for text in found:
            users.setdefault(text, []).append(name)
    print("patchwork-traces contains these programs:\n")
    for package in packages:
        print(f"  {package['name']} {package['version']} ({package['license']})")
    for text, names in users.items():
        print("\n" + "=" * 80 + "\n" + ", ".join(names) + "\n" + "=" * 80 + "\n\n" + text)


main()
