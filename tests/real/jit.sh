#!/bin/bash
# Programs that make code while they run: node, java, luajit.
command -v node >/dev/null || command -v java >/dev/null || command -v luajit >/dev/null || { echo "neither node, java nor luajit is installed"; exit 77; }
if command -v node >/dev/null; then
  cat >hot.js <<'JS'
function f(n) { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) | 0; return s; }
for (let i = 0; i < 2000; i++) f(1000);
console.log(f(1000000), %GetOptimizationStatus(f) !== 0);
const wasm = new Uint8Array([0,97,115,109,1,0,0,0,1,7,1,96,2,127,127,1,127,3,2,1,0,7,7,1,3,97,100,100,0,0,10,9,1,7,0,32,0,32,1,106,11]);
WebAssembly.instantiate(wasm).then(m => console.log('wasm', m.instance.exports.add(40, 2)));
JS
  node --allow-natives-syntax hot.js
fi
if command -v java >/dev/null; then
  cat >Hot.java <<'JAVA'
import java.lang.invoke.*;
import java.nio.file.*;
public class Hot {
    static int f(int n) { int s = 0; for (int i = 0; i < n; i++) s = s * 31 + i; return s; }
    public static void main(String[] a) throws Throwable {
        for (int i = 0; i < 2000; i++) f(1000);
        System.out.println(f(1000000));
        MethodHandle h = MethodHandles.lookup().findStatic(Hot.class, "f", MethodType.methodType(int.class, int.class));
        System.out.println((int) h.invokeExact(10));
        Thread[] t = new Thread[8];
        for (int i = 0; i < 8; i++) (t[i] = new Thread(() -> f(1000000))).start();
        for (Thread x : t) x.join();
        Process p = new ProcessBuilder("sh", "-c", "echo child; exit 3").redirectErrorStream(true).start();
        System.out.print(new String(p.getInputStream().readAllBytes()));
        System.out.println(p.waitFor() + " " + Files.writeString(Path.of("out"), "x") + " " + (Runtime.getRuntime().availableProcessors() > 0));
    }
}
JAVA
  java -Xmx256m Hot.java 2>&1 && java -Xmx256m -Xcomp -XX:TieredStopAtLevel=1 -version 2>&1 | head -n 1
fi
if command -v luajit >/dev/null; then
  luajit -e 'local s = 0 for i = 1, 1e8 do s = (s + i) % 1000003 end print(s, jit.status())'
  luajit -e 'local ffi = require("ffi") ffi.cdef[[int abs(int);]] local s = 0 for i = 1, 1e6 do s = s + ffi.C.abs(-i) end print(s)
    local cb = ffi.cast("int (*)(int)", function(x) return x + 1 end) print(cb(41))'
fi
true
