#!/bin/bash
# The calls about processes with good and bad arguments, some two hundred: results and errnos as natively. All of them need the wide list.
# policy: {version: 1, extends: agent, syscalls: wide}
# not: root its capabilities let it do natively what no guest may
cat >p.py <<'PY'
import os, ctypes, errno, signal, resource, time, struct, sys
libc=ctypes.CDLL(None,use_errno=True)
libc.syscall.restype=ctypes.c_long
def sc(name,*a):
    ctypes.set_errno(0)
    r=libc.syscall(*[ctypes.c_long(x) if isinstance(x,int) else x for x in a])
    e=ctypes.get_errno()
    print(name, r if r in(0,-1) else 'n', errno.errorcode.get(e,e) if r==-1 else '')
NR=dict(kill=62,tgkill=234,tkill=200,waitid=247,ptrace=101,prctl=157,setpriority=141,getpriority=140,sched_setparam=142,sched_getparam=143,sched_setscheduler=144,sched_getscheduler=145,sched_rr=148,setaff=203,getaff=204,prlimit=302,getrusage=98,setuid=105,setgid=106,setreuid=113,setresuid=117,getresuid=118,setresgid=119,setgroups=116,setfsuid=122,capget=125,capset=126,pvr=310,pvw=311,pidfd_open=434,pidfd_sig=424,pidfd_getfd=438,clone=56,unshare=272,setns=308,setsid=112,setpgid=109,getpgid=121,getsid=124,personality=135,kcmp=312,rt_sigqueueinfo=129,rt_tgsigqueueinfo=297,sched_setattr=314,sched_getattr=315,ioprio_set=251,ioprio_get=252,setrlimit=160,getrlimit=97,times=100,sysinfo=99,wait4=61,process_madvise=440,membarrier=324,arch_prctl=158,rseq=334,futex=202,set_robust=273,get_robust=274,pause=34,alarm=37,timer_create=222,sigaltstack=131)
P=os.getpid()
buf=ctypes.create_string_buffer(4096)
sc('kill0',NR['kill'],P,0); sc('kill badsig',NR['kill'],P,65); sc('kill neg',NR['kill'],P,-1); sc('kill nopid',NR['kill'],0x7ffffff0,0); sc('kill nogrp',NR['kill'],-0x7ffffff0,0); sc('kill min',NR['kill'],-2**31,0)
sc('kill own group 0',NR['kill'],0,0)
sc('tgkill bad',NR['tgkill'],-1,P,0); sc('tgkill bad2',NR['tgkill'],P,-1,0); sc('tgkill nothr',NR['tgkill'],P,0x7ffffff0,0); sc('tgkill ok',NR['tgkill'],P,P,0); sc('tkill',NR['tkill'],P,0); sc('tkill bad',NR['tkill'],-1,0)
c=os.fork()
if c==0:
    time.sleep(30); os._exit(0)
sc('waitid nohang',NR['waitid'],1,c,buf,4|1,None if False else 0); sc('waitid badopt',NR['waitid'],1,c,buf,0,0); sc('waitid badtype',NR['waitid'],9,c,buf,4,0); sc('waitid nochild',NR['waitid'],1,P,buf,4,0); sc('wait4 badopt',NR['wait4'],c,0,0x1000000,0); sc('wait4 nochild',NR['wait4'],P,0,0,0); sc('wait4 min',NR['wait4'],-2**31,0,0,0)
sc('ptrace attach self',NR['ptrace'],16,P,0,0); sc('ptrace bad',NR['ptrace'],9999,c,0,0); sc('ptrace nopid',NR['ptrace'],16,0x7ffffff0,0,0); sc('ptrace peek untraced',NR['ptrace'],1,c,0,0); sc('ptrace seize',NR['ptrace'],0x4206,c,0,0); sc('ptrace detach',NR['ptrace'],0x4207,c,0,0); os.waitpid(c,0x40000000); sc('detach',NR['ptrace'],17,c,0,0)
for o,a in ((1,9),(1,65),(1,-1),(2,None),(3,0),(4,1),(4,2),(4,5),(15,None),(16,None),(23,99),(24,40),(26,1),(25,None),(27,None),(28,0),(29,100),(30,None),(35,0),(36,1),(37,None),(38,1),(39,None),(40,None),(41,1),(42,None),(47,1),(53,None),(9999,0),(8,0),(7,0)):
    sc('prctl %d %s'%(o,a),NR['prctl'],o,buf if a is None else a,0,0,0)
for who in (P,c,0,0x7ffffff0): sc('setprio+ %s'%('x'),NR['setpriority'],0,who,5)
sc('setprio -',NR['setpriority'],0,0,-5); sc('setprio bad',NR['setpriority'],9,0,0); sc('getprio 1',NR['getpriority'],0,1)
par=struct.pack('i',1); p0=struct.pack('i',0)
sc('setparam',NR['sched_setparam'],0,p0); sc('setparam null',NR['sched_setparam'],0,0); sc('setsched other',NR['sched_setscheduler'],0,0,p0); sc('setsched batch',NR['sched_setscheduler'],0,3,p0); sc('setsched idle',NR['sched_setscheduler'],c,5,p0); sc('setsched fifo',NR['sched_setscheduler'],0,1,par); sc('setsched bad',NR['sched_setscheduler'],0,99,p0); sc('setsched nopid',NR['sched_setscheduler'],0x7ffffff0,0,p0); sc('getsched',NR['sched_getscheduler'],c); sc('getsched -1',NR['sched_getscheduler'],-1); sc('getparam',NR['sched_getparam'],0,buf); sc('rr',NR['sched_rr'],0,buf); sc('setaff',NR['setaff'],c,8,struct.pack('Q',1)); sc('setaff none',NR['setaff'],0,8,struct.pack('Q',0)); sc('getaff',NR['getaff'],c,8,buf); sc('getaff small',NR['getaff'],0,1,buf); sc('getaff nopid',NR['getaff'],0x7ffffff0,8,buf)
sc('setattr',NR['sched_setattr'],0,struct.pack('IIQiIQQQ',48,0,0,3,0,0,0,0),0); sc('getattr',NR['sched_getattr'],0,buf,48,0); sc('getattr small',NR['sched_getattr'],0,buf,4,0); sc('ioprio_set',NR['ioprio_set'],1,0,(2<<13)|7); sc('ioprio rt',NR['ioprio_set'],1,0,(1<<13)|0); sc('ioprio bad',NR['ioprio_set'],9,0,0); sc('ioprio_get',NR['ioprio_get'],1,c)
for r in range(17):
    sc('getrlimit %d'%r,NR['getrlimit'],r,buf)
sc('setrlimit raise',NR['setrlimit'],7,struct.pack('QQ',2**40,2**40)); sc('setrlimit cur>max',NR['setrlimit'],7,struct.pack('QQ',100,50)); sc('setrlimit lower',NR['setrlimit'],1,struct.pack('QQ',1<<40,1<<40)); sc('setrlimit null',NR['setrlimit'],7,0); sc('prlimit self',NR['prlimit'],0,7,0,buf); sc('prlimit child',NR['prlimit'],c,7,0,buf); sc('prlimit child set',NR['prlimit'],c,7,struct.pack('QQ',64,64),buf); sc('prlimit nopid',NR['prlimit'],0x7ffffff0,7,0,buf); sc('prlimit bad',NR['prlimit'],0,99,0,buf)
for w in (0,-1,1,2,-2): sc('getrusage %d'%w,NR['getrusage'],w,buf)
u=os.getuid(); g=os.getgid()
sc('setuid own',NR['setuid'],u); sc('setgid own',NR['setgid'],g); sc('setreuid -1',NR['setreuid'],-1,-1); sc('setresuid own',NR['setresuid'],u,u,u); sc('setfsuid',NR['setfsuid'],u); sc('setgroups',NR['setgroups'],0,0); sc('getresuid null',NR['getresuid'],0,0,0)
hdr=struct.pack('Ii',0x20080522,0)
sc('capget',NR['capget'],ctypes.create_string_buffer(hdr),buf); sc('capget badver',NR['capget'],ctypes.create_string_buffer(struct.pack('Ii',0,0)),buf); sc('capget null',NR['capget'],0,0); sc('capset none',NR['capset'],ctypes.create_string_buffer(hdr),struct.pack('6I',0,0,0,0,0,0)); sc('capset gain',NR['capset'],ctypes.create_string_buffer(hdr),struct.pack('6I',2**21,2**21,0,0,0,0)); sc('capset other',NR['capset'],ctypes.create_string_buffer(struct.pack('Ii',0x20080522,c)),struct.pack('6I',0,0,0,0,0,0))
addr=ctypes.addressof(buf)
iov=ctypes.create_string_buffer(struct.pack('QQ',addr,8)); iov2=ctypes.create_string_buffer(struct.pack('QQ',addr+64,8)); bad=ctypes.create_string_buffer(struct.pack('QQ',8,8))
sc('pvr child',NR['pvr'],c,iov,1,iov2,1,0); sc('pvr self',NR['pvr'],P,iov,1,iov2,1,0); sc('pvw child',NR['pvw'],c,iov,1,iov2,1,0); sc('pvr badaddr',NR['pvr'],c,iov,1,bad,1,0); sc('pvr nopid',NR['pvr'],0x7ffffff0,iov,1,iov2,1,0); sc('pvr flags',NR['pvr'],c,iov,1,iov2,1,1)
fd=os.pidfd_open(c)
sc('pidfd_open bad',NR['pidfd_open'],-1,0); sc('pidfd_open flags',NR['pidfd_open'],c,0x1000000); sc('pidfd_open none',NR['pidfd_open'],0x7ffffff0,0); sc('pidfd_open self',NR['pidfd_open'],P,0); sc('pidfd_sig 0',NR['pidfd_sig'],fd,0,0,0); sc('pidfd_sig badfd',NR['pidfd_sig'],0,0,0,0); sc('pidfd_sig flags',NR['pidfd_sig'],fd,0,0,0x1000000); sc('pidfd_getfd',NR['pidfd_getfd'],fd,1,0); sc('pidfd_getfd none',NR['pidfd_getfd'],fd,999,0); sc('pidfd_getfd flags',NR['pidfd_getfd'],fd,1,1)
sc('kcmp',NR['kcmp'],P,c,0,1,1); sc('kcmp nopid',NR['kcmp'],P,0x7ffffff0,0,1,1)
si=ctypes.create_string_buffer(struct.pack('iii',0,0,-1)+b'\0'*116); sik=ctypes.create_string_buffer(struct.pack('iii',0,0,0)+b'\0'*116)
sc('sigqueue self',NR['rt_sigqueueinfo'],c,0,si); sc('sigqueue forged',NR['rt_sigqueueinfo'],c,0,sik); sc('tgsigqueue',NR['rt_tgsigqueueinfo'],c,c,0,si)
sc('setpgid child',NR['setpgid'],c,c); sc('setpgid bad',NR['setpgid'],c,-1); sc('setpgid nopid',NR['setpgid'],0x7ffffff0,0); sc('getpgid child',NR['getpgid'],c); sc('getpgid none',NR['getpgid'],0x7ffffff0); sc('getsid none',NR['getsid'],0x7ffffff0)
sc('personality get',NR['personality'],0xffffffff); sc('arch_prctl fs',NR['arch_prctl'],0x1003,buf); sc('arch_prctl bad',NR['arch_prctl'],0x9999,buf); sc('membarrier q',NR['membarrier'],0,0,0); sc('membarrier bad',NR['membarrier'],9999,0,0); sc('get_robust',NR['get_robust'],c,buf,ctypes.addressof(buf)+8)
sc('clone bad flags',NR['clone'],0x10000,0,0,0,0); sc('clone fs+newns?',NR['clone'],0x200|0x800,0,0,0,0); sc('unshare 0',NR['unshare'],0); sc('unshare files',NR['unshare'],0x400); sc('unshare fs',NR['unshare'],0x200)
sc('times',NR['times'],0); sc('sysinfo null',NR['sysinfo'],0)
os.kill(c,9); st=os.waitid(os.P_PIDFD,fd,os.WEXITED); print('waitid pidfd',st.si_code,st.si_status)
PY
python3 p.py
