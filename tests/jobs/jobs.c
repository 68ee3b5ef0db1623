/* Library functions that the tests call and check against Python's own: freestanding. */
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))

static uint8_t heap[8 << 20];
static uint32_t top;

EXPORT(alloc) uint8_t *alloc(uint32_t size) {
    uint8_t *p = heap + top;
    if (size > sizeof heap - top) return 0;
    top += (size + 15) & ~15u;
    return p;
}
EXPORT(reset) void reset(void) { top = 0; }

/* SHA-256 (FIPS 180-4). */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t ror(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void sha_block(uint32_t h[8], const uint8_t *p) {
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) + w[i - 7] +
               (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
    }
    for (int i = 0; i < 8; i++) s[i] = h[i];
    for (int i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t t = s[7] + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & s[5]) ^ (~e & s[6])) +
                     K[i] + w[i];
        uint32_t u = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) +
                     ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        for (int j = 7; j > 0; j--) s[j] = s[j - 1];
        s[4] += t;
        s[0] = t + u;
    }
    for (int i = 0; i < 8; i++) h[i] += s[i];
}

EXPORT(sha256) void sha256(const uint8_t *data, uint32_t size, uint8_t *out) {
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint32_t done = 0;
    for (; size - done >= 64; done += 64) sha_block(h, data + done);
    uint8_t tail[128];
    uint32_t rest = size - done, length = rest < 56 ? 64 : 128;
    for (uint32_t i = 0; i < length; i++)
        tail[i] = i < rest ? data[done + i] : i == rest ? 0x80 : 0;
    for (int i = 0; i < 8; i++) tail[length - 1 - i] = (uint8_t)((uint64_t)size * 8 >> (8 * i));
    for (uint32_t i = 0; i < length; i += 64) sha_block(h, tail + i);
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* CRC-32 as zlib has it. */
EXPORT(crc32) uint32_t crc32(const uint8_t *data, uint32_t size) {
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
            table[i] = c;
        }
    uint32_t c = ~0u;
    for (uint32_t i = 0; i < size; i++) c = table[(c ^ data[i]) & 255] ^ c >> 8;
    return ~c;
}

/* Base64; gives the size of the text. */
EXPORT(base64) uint32_t base64(const uint8_t *in, uint32_t size, uint8_t *out) {
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t n = 0;
    for (uint32_t i = 0; i < size; i += 3) {
        uint32_t left = size - i, v = (uint32_t)in[i] << 16;
        if (left > 1) v |= in[i + 1] << 8;
        if (left > 2) v |= in[i + 2];
        out[n++] = digits[v >> 18];
        out[n++] = digits[v >> 12 & 63];
        out[n++] = left > 1 ? digits[v >> 6 & 63] : '=';
        out[n++] = left > 2 ? digits[v & 63] : '=';
    }
    return n;
}

/* Sorting through a comparison function (an indirect call). */
typedef int (*compare)(int32_t, int32_t);
static int ascending(int32_t a, int32_t b) { return a < b; }
static int descending(int32_t a, int32_t b) { return a > b; }
static void sort_range(int32_t *v, int n, compare before) {
    while (n > 1) {
        int32_t pivot = v[n / 2];
        int i = 0, j = n - 1;
        while (i <= j) {
            while (before(v[i], pivot)) i++;
            while (before(pivot, v[j])) j--;
            if (i <= j) { int32_t t = v[i]; v[i++] = v[j]; v[j--] = t; }
        }
        sort_range(v, j + 1, before);
        v += i;
        n -= i;
    }
}
EXPORT(sort) void sort(int32_t *v, int n, int down) { sort_range(v, n, down ? descending : ascending); }

/* Edit distance of two strings. */
EXPORT(distance) uint32_t distance(const uint8_t *a, uint32_t n, const uint8_t *b, uint32_t m) {
    static uint32_t row[4096];
    for (uint32_t j = 0; j <= m; j++) row[j] = j;
    for (uint32_t i = 1; i <= n; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= m; j++) {
            uint32_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

/* c = a * b, square matrices of doubles. */
EXPORT(multiply) void multiply(const double *a, const double *b, double *c, int n) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double s = 0;
            for (int k = 0; k < n; k++) s += a[i * n + k] * b[k * n + j];
            c[i * n + j] = s;
        }
}

/* Decimal digits of n!, the least significant first; gives how many. */
EXPORT(factorial) uint32_t factorial(uint32_t n, uint8_t *digits) {
    uint32_t size = 1;
    digits[0] = 1;
    for (uint32_t f = 2; f <= n; f++) {
        uint32_t carry = 0;
        for (uint32_t i = 0; i < size; i++) {
            carry += digits[i] * f;
            digits[i] = carry % 10;
            carry /= 10;
        }
        for (; carry; carry /= 10) digits[size++] = carry % 10;
    }
    return size;
}

/* Whether bytes are UTF-8. */
EXPORT(is_utf8) int is_utf8(const uint8_t *p, uint32_t n) {
    for (uint32_t i = 0; i < n;) {
        uint8_t c = p[i++];
        if (c < 0x80) continue;
        int more = c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 0;
        if (!more || n - i < (uint32_t)more) return 0;
        uint8_t d = p[i];
        if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f)) return 0;
        if ((c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f)) return 0;
        while (more--)
            if ((p[i++] & 0xc0) != 0x80) return 0;
    }
    return 1;
}

/* LZ77 with a window of 4 KiB: tokens of (offset, length) or a byte; gives the size. */
EXPORT(compress) uint32_t compress(const uint8_t *in, uint32_t n, uint8_t *out) {
    uint32_t o = 0;
    for (uint32_t i = 0; i < n;) {
        uint32_t best = 0, at = 0;
        for (uint32_t j = i > 4095 ? i - 4095 : 0; j < i; j++) {
            uint32_t k = 0;
            while (k < 18 && i + k < n && in[j + k] == in[i + k]) k++;
            if (k > best) { best = k; at = i - j; }
        }
        if (best >= 3) {
            out[o++] = 1;
            out[o++] = at & 255;
            out[o++] = at >> 8 << 4 | (best - 3);
            i += best;
        } else {
            out[o++] = 0;
            out[o++] = in[i++];
        }
    }
    return o;
}
EXPORT(decompress) uint32_t decompress(const uint8_t *in, uint32_t n, uint8_t *out) {
    uint32_t o = 0;
    for (uint32_t i = 0; i < n;) {
        if (in[i++]) {
            uint32_t at = in[i] | in[i + 1] >> 4 << 8, length = (in[i + 1] & 15) + 3;
            i += 2;
            while (length--) { out[o] = out[o - at]; o++; }
        } else {
            out[o++] = in[i++];
        }
    }
    return o;
}
