// Internal to crypto/: the low-level SHA-256 calls. They are marked deprecated in OpenSSL 3, and are used all the same
// because they copy as plain memory: a prepared HMAC key costs two compressions a message instead of two context
// duplications.
#pragma once

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
