#!/usr/bin/env bash
# CPython's own tests of what touches files, natively and inside: the same outcome for each of some two thousand tests.
# Needs Debian's libpython3.x-testsuite. SUITE_PYTHON names another interpreter, SUITE_TESTS other modules.
. "$(dirname "$0")/lib.sh"
export PYTHON=${SUITE_PYTHON:-/usr/bin/python3}
export MODULES=${SUITE_TESTS:-test_os test_posix test_shutil test_tempfile test_glob test_pathlib test_fcntl test_zipfile test_tarfile}
"$PYTHON" -c 'import test.test_os' 2>/dev/null || { echo "1..0 # skip no tests for $PYTHON (Debian: libpython3.x-testsuite)"; exit 0; }

# What depends on who is in passwd, on the network inside, and on listing the root, which a bare floor cannot allow.
script='
mkdir tmp
'"$PYTHON"' -m test --tempdir "$PWD/tmp" --junit-xml "$PWD/r.xml" '"$MODULES"' >log 2>&1
'"$PYTHON"' - <<"PY" >result
import xml.etree.ElementTree as tree
environment = ("getgrouplist", "initgroups", "test_group", "test_owner", "test_home", "test_expanduser", "TestSendfile", "Pep383Tests.test_listdir")
for case in tree.parse("r.xml").iter("testcase"):
    tags = {child.tag for child in case}
    outcome = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "ok"
    if not any(word in case.get("name") for word in environment):
        print(case.get("name"), outcome)
PY
'
suite_each python "$script"
suite_end
