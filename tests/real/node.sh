#!/bin/bash
# node: child processes, worker threads, files, npm install of a local tarball.
command -v node >/dev/null || { echo "node is not installed"; exit 77; }
cat >t.js <<'JS'
const { execFileSync, spawn, fork } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');
const fs = require('fs'), os = require('os'), path = require('path'), zlib = require('zlib'), crypto = require('crypto');
if (!isMainThread) { parentPort.postMessage(40 + 2); }
else if (process.argv[2] === 'child') { process.send('from child'); process.disconnect(); }
else (async () => {
  console.log(execFileSync('sh', ['-c', 'echo sync'], { encoding: 'utf8' }).trim());
  await new Promise(r => { const p = spawn('cat'); let n = 0; p.stdout.on('data', d => n += d.length); p.on('close', c => { console.log('cat', n, c); r(); }); p.stdin.end('x'.repeat(200000)); });
  await new Promise(r => fork(__filename, ['child']).on('message', m => console.log(m)).on('exit', c => { console.log('exit', c); r(); }));
  await new Promise(r => new Worker(__filename).on('message', m => { console.log('worker', m); r(); }));
  await fs.promises.mkdir('d/e', { recursive: true }); await fs.promises.writeFile('d/e/f', 'text');
  await Promise.all([...Array(200).keys()].map(i => fs.promises.writeFile('d/' + i, '' + i)));
  console.log((await fs.promises.readdir('d')).length, fs.statSync('d/e/f').size, fs.existsSync('nope'));
  console.log(zlib.gunzipSync(zlib.gzipSync('zipped')).toString(), crypto.createHash('sha256').update('x').digest('hex').slice(0, 8));
  const w = fs.watch('d'); fs.writeFileSync('d/new', ''); await new Promise(r => w.once('change', r)); w.close(); console.log('watched');
  fs.rmSync('d', { recursive: true }); console.log(fs.readdirSync('.').sort().join(' '));
  try { fs.readFileSync('/nonexistent') } catch (e) { console.log(e.code) }
})();
JS
node t.js
mkdir -p package && echo '{"name":"local-pkg","version":"1.2.3","main":"i.js"}' >package/package.json && echo 'module.exports = "installed"' >package/i.js
tar czf pkg.tgz package && mkdir app && cd app && echo '{"name":"app","version":"1.0.0"}' >package.json
npm install --offline --no-audit --no-fund --no-update-notifier --cache ./cache ../pkg.tgz >/dev/null 2>npm.err || head -n 5 npm.err
node -e 'console.log(require("local-pkg"))'
