; The runtime's variables. Those without a value of their own are set once, by native.py.

@jw_key = global i32 0                  ; thread-specific key of the ThreadState
@jw_main_tid = global i64 0             ; kernel id of Python's main thread
@jw_altstack_size = global i64 0
@jw_has_xsave = global i64 0            ; whether jw_interrupt can save the registers
@jw_wrapped = global i64 0              ; whether a builtin's self is read inline
@jw_generation = global i64 0           ; how many forks led here
@jw_code_lo = global i64 0              ; wasm code, in the arena
@jw_code_hi = global i64 0
@jw_tick_ns = global i64 5000000        ; a call that runs longer releases the GIL
@jw_poll_ns = global i64 50000000       ; how often a released main thread looks for signals

; Signal handling: the actions ours replaced, by signal; the default action; whether a chained
; handler is running.
@jw_old = global [32 x [152 x i8]] zeroinitializer
@jw_default = global [152 x i8] zeroinitializer
@jw_chaining = global i64 0

; Python objects for traps: see TrapTable of traps.py; the name of Trap's attribute; the maps of all
; images, null where there are new ones since.
@jw_trap_table = global ptr null
@jw_trap_new = global ptr null
@jw_trap_attribute = global ptr null
@jw_maps = global ptr null

; Python objects: hooks, see native.py.
@jw_hook_maps = global ptr null
@jw_hook_find_frames = global ptr null
@jw_hook_hot = global ptr null
@jw_hook_arity = global ptr null
@jw_hook_refuse = global ptr null
@jw_hook_results = global ptr null
@jw_hook_hot_host = global ptr null
@jw_hook_probe = global ptr null
@jw_hook_to_ref = global ptr null
@jw_hook_from_ref = global ptr null
@jw_hook_idle = global ptr null
@jw_hook_memory_read = global ptr null  ; the methods of Memory that memories.ll stands before
@jw_hook_memory_write = global ptr null
@jw_hook_memory_get = global ptr null
@jw_hook_memory_set = global ptr null
@jw_record_slot = global i64 0          ; offsets of slots in a Memory: the record's address, the view
@jw_view_slot = global i64 0
@jw_host_callback = global ptr null     ; C function: the ctypes callback for host functions
