/* A module of PKCS#11 that is SoftHSM2 with faults. Before each call of a function that can fail it reads the file that
 * PKCS11_FAULTS_FILE names: "FUNCTION VALUE COUNT", so that the next COUNT calls of FUNCTION (or of any, "*") return
 * VALUE (a number), or "crash", or "hang"; C_Decrypt with 0 returns a wrong text. The file is shared by all processes;
 * what was used up is written back. */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST faulty;

/* The value to return, or -1: none. */
static long planted(const char *function) {
  const char *path = getenv("PKCS11_FAULTS_FILE");
  char text[256], name[64], value[32];
  long count = 0, result = -1;
  int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (file < 0)
    return -1;
  flock(file, LOCK_EX);
  ssize_t size = read(file, text, sizeof(text) - 1);
  text[size < 0 ? 0 : size] = 0;
  if (sscanf(text, "%63s %31s %ld", name, value, &count) == 3 && count > 0 &&
      (strcmp(name, "*") == 0 || strcmp(name, function) == 0)) {
    int length = snprintf(text, sizeof(text), "%s %s %ld\n", name, value, count - 1);
    if (pwrite(file, text, (size_t)length, 0) != length || ftruncate(file, length) != 0)
      abort();
    if (strcmp(value, "crash") == 0) {
      close(file);
      raise(SIGSEGV);
    }
    if (strcmp(value, "hang") == 0) {
      close(file);
      for (;;)
        pause();
    }
    result = strtol(value, NULL, 0);
  }
  close(file);
  return result;
}

#define FAULT(name)                     \
  do {                                  \
    long value = planted(#name);        \
    if (value >= 0)                     \
      return (CK_RV)value;              \
  } while (0)

#define WRAP(name, parameters, arguments) \
  static CK_RV faulty_##name parameters { \
    FAULT(name);                          \
    return real->name arguments;          \
  }

WRAP(C_Initialize, (void *a),
     (a))
WRAP(C_GetSlotList, (CK_BBOOL a, CK_SLOT_ID *b, CK_ULONG *c),
     (a, b, c))
WRAP(C_GetTokenInfo, (CK_SLOT_ID a, CK_TOKEN_INFO *b),
     (a, b))
WRAP(C_OpenSession, (CK_SLOT_ID a, CK_FLAGS b, void *c, CK_NOTIFY d, CK_SESSION_HANDLE *e),
     (a, b, c, d, e))
WRAP(C_Login, (CK_SESSION_HANDLE a, CK_USER_TYPE b, unsigned char *c, CK_ULONG d),
     (a, b, c, d))
WRAP(C_FindObjectsInit, (CK_SESSION_HANDLE a, CK_ATTRIBUTE *b, CK_ULONG c),
     (a, b, c))
WRAP(C_FindObjects, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE *b, CK_ULONG c, CK_ULONG *d),
     (a, b, c, d))
WRAP(C_GetAttributeValue, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b, CK_ATTRIBUTE *c, CK_ULONG d),
     (a, b, c, d))
WRAP(C_EncryptInit, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c),
     (a, b, c))
WRAP(C_Encrypt, (CK_SESSION_HANDLE a, unsigned char *b, CK_ULONG c, unsigned char *d, CK_ULONG *e),
     (a, b, c, d, e))
WRAP(C_DecryptInit, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c),
     (a, b, c))
static CK_RV decrypt_data(CK_SESSION_HANDLE a, unsigned char *b, CK_ULONG c, unsigned char *d,
                          CK_ULONG *e) {
  long value = planted("C_Decrypt");
  if (value > 0)
    return (CK_RV)value;
  CK_RV done = real->C_Decrypt(a, b, c, d, e);
  if (value == 0 && done == CKR_OK && d != NULL)
    d[0] ^= 1; /* "0": it says that all is well, and it is not */
  return done;
}
WRAP(C_SignInit, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c),
     (a, b, c))
WRAP(C_Sign, (CK_SESSION_HANDLE a, unsigned char *b, CK_ULONG c, unsigned char *d, CK_ULONG *e),
     (a, b, c, d, e))
WRAP(C_GenerateRandom, (CK_SESSION_HANDLE a, unsigned char *b, CK_ULONG c),
     (a, b, c))

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) {
  FAULT(C_GetFunctionList);
  void *library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
  CK_C_GetFunctionList get = library == NULL ? NULL : (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList");
  if (get == NULL || get(&real) != CKR_OK)
    return CKR_GENERAL_ERROR;
  faulty = *real;
  faulty.C_Initialize = faulty_C_Initialize;
  faulty.C_GetSlotList = faulty_C_GetSlotList;
  faulty.C_GetTokenInfo = faulty_C_GetTokenInfo;
  faulty.C_OpenSession = faulty_C_OpenSession;
  faulty.C_Login = faulty_C_Login;
  faulty.C_FindObjectsInit = faulty_C_FindObjectsInit;
  faulty.C_FindObjects = faulty_C_FindObjects;
  faulty.C_GetAttributeValue = faulty_C_GetAttributeValue;
  faulty.C_EncryptInit = faulty_C_EncryptInit;
  faulty.C_Encrypt = faulty_C_Encrypt;
  faulty.C_DecryptInit = faulty_C_DecryptInit;
  faulty.C_Decrypt = decrypt_data;
  faulty.C_SignInit = faulty_C_SignInit;
  faulty.C_Sign = faulty_C_Sign;
  faulty.C_GenerateRandom = faulty_C_GenerateRandom;
  *list = &faulty;
  return CKR_OK;
}
