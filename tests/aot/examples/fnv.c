/* A hash of bytes in linear memory: FNV-1a of 64 bits, and a counter of calls. */
static unsigned char buffer[4096];
static int calls;

__attribute__((export_name("buffer"))) unsigned char *get_buffer(void) { return buffer; }

__attribute__((export_name("capacity"))) unsigned capacity(void) { return sizeof buffer; }

__attribute__((export_name("calls"))) int get_calls(void) { return calls; }

__attribute__((export_name("hash"))) unsigned long long hash(unsigned size) {
    unsigned long long h = 0xcbf29ce484222325u;
    calls++;
    for (unsigned i = 0; i < size; i++) h = (h ^ buffer[i]) * 0x100000001b3u;
    return h;
}

__attribute__((export_name("average"))) int average(int sum, int count) { return sum / count; }
