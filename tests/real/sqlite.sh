#!/bin/bash
# sqlite3: journals, locks, two processes at once.
command -v sqlite3 >/dev/null || { echo "sqlite3 is not installed"; exit 77; }
sqlite3 a.db 'create table t(x integer primary key, y text); with recursive c(n) as (select 1 union all select n + 1 from c where n < 5000) insert into t select n, hex(n) from c; select count(*), sum(x) from t;'
for i in 1 2 3 4; do sqlite3 -cmd '.timeout 10000' a.db "insert into t(y) values('p$i');" & done; wait
sqlite3 a.db "select count(*) from t; pragma integrity_check; pragma journal_mode=wal;"
sqlite3 a.db "begin; delete from t where x > 100; rollback; select count(*) from t; vacuum;"
sqlite3 a.db .dump | wc -l; ls
