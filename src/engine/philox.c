#include "engine/philox.h"

/* The paper's multipliers and Weyl constants. */
static const uint32_t MUL0 = 0xD2511F53, MUL1 = 0xCD9E8D57;
static const uint32_t WEYL0 = 0x9E3779B9, WEYL1 = 0xBB67AE85;

enum { ROUNDS = 10 };

void philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t a = (uint64_t)MUL0 * c0;
        uint64_t b = (uint64_t)MUL1 * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += WEYL0;
        k1 += WEYL1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}
