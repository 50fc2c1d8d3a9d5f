#!/bin/bash
# go: builds, runs and tests a module; go test and go run execute what they have linked in TMPDIR.
command -v go >/dev/null && go version >/dev/null 2>&1 || { echo "go is not installed"; exit 77; }
export GOPROXY=off GOFLAGS=-mod=mod GOTOOLCHAIN=local
mkdir -p m/sum && cd m || exit 1
printf 'module example.com/m\n\ngo 1.18\n' >go.mod
printf 'package sum\n\nfunc Of(v ...int) (s int) {\n\tfor _, x := range v {\n\t\ts += x\n\t}\n\treturn\n}\n' >sum/sum.go
cat >sum/sum_test.go <<'GO'
package sum

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestOf(t *testing.T) {
	if Of(1, 2, 3) != 6 {
		t.Fatal("not 6")
	}
}

func TestTempAndExec(t *testing.T) {
	f := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(f, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("cat", f).Output()
	if err != nil || string(out) != "x" {
		t.Fatal(err, out)
	}
}
GO
printf 'package main\n\nimport (\n\t"fmt"\n\n\t"example.com/m/sum"\n)\n\nfunc main() { fmt.Println(sum.Of(40, 2)) }\n' >main.go
go vet ./... && go test -v ./... 2>&1 | grep -E '^(---|ok|PASS|FAIL)' | sed 's/[0-9.]*s)*$//; s/\t(cached)//'
go run . && go build -o prog . && ./prog
