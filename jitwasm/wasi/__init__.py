"""WASI preview 1, written for use as a sandbox. In the order of a call:

abi          the one table of functions, errno values, rights and structures
guest        reading and writing a program's linear memory
context      `Wasi`: what a program is given, and the imports it makes from that
*_calls      the functions, by family: process, descriptors, paths, polling and sockets
descriptors  the descriptor table and what a descriptor can do
streams      standard streams over bytes, file objects, callables
paths        resolution of guest paths: nothing above a preopened folder is reachable
hostfs       real files and folders, by descriptors and one path component at a time
memfs        files and folders that live in memory
"""
