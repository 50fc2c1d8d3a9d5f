"""sweep.py TABLE NATIVE INSIDE: compares two sweeps (sweep.c) under the table's classes. Prints what does not fit; status 1 then."""

import json
import sys

rows = {row["nr"]: row for row in json.load(open(sys.argv[1]))}
native = dict(line.split() for line in open(sys.argv[2]))
inside = dict(line.split() for line in open(sys.argv[3]))
bad = 0

if native.keys() != inside.keys():
    print("the sweeps differ in length")
    bad = 1
for number, result in inside.items():
    row = rows.get(int(number))
    was = native.get(number)
    if row is None:
        # Beyond the table; with the bit of x32 the filter kills.
        fits = result == ("SYS" if int(number) & 0x40000000 else "ENOSYS")
    elif row["class"] == "eperm":
        fits = result == "EPERM"
    elif row["class"] == "enosys":
        fits = result == "ENOSYS"
    else:
        # Nothing dies, hangs or works that does not natively.
        fits = result == was or (result.startswith("E") and result != "E?")
    if not fits:
        print(number, row["name"] if row else "?", row["class"] if row else "none", "natively", was, "inside", result)
        bad = 1
sys.exit(bad)
