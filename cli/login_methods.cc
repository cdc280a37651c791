#include "cli/login_methods.h"

namespace coffer::cli {
namespace {

constexpr LoginMethod kMethods[] = {
    {"approle", false, "Logs a machine in with the id of its role and a secret id of that role.",
     "role_id=ROLE_ID secret_id=SECRET_ID",
     "role_id: Id of the role.\nsecret_id: Secret id of the role, if the role asks for one."},
    {"cert", false, "Logs in with the TLS certificate given by -client-cert and -client-key.", "name=web",
     "name: Name of the certificate's role; all are tried if not given."},
    {"github", false, "Logs in with a personal access token of GitHub.", "token=TOKEN", "token: Access token."},
    {"jwt", false, "Logs in with a signed JSON web token.", "role=app jwt=TOKEN",
     "jwt: The web token.\nrole: Name of the role; the mount's default if not given."},
    {"kubernetes", false, "Logs a pod in with the token of its service account.", "role=app jwt=TOKEN",
     "jwt: The service account's token.\nrole: Name of the role."},
    {"ldap", true, "Logs a user in by a directory server.", "username=sam",
     "password: Password; asked for on the terminal if not given.\nusername: Name of the user."},
    {"okta", true, "Logs a user in by Okta.", "username=sam",
     "password: Password; asked for on the terminal if not given.\nusername: Name of the user."},
    {"radius", true, "Logs a user in by a RADIUS server.", "username=sam",
     "password: Password; asked for on the terminal if not given.\nusername: Name of the user."},
    {"token", false, "Keeps a token that exists already.", "",
     "lookup: \"false\" keeps the token without asking the server for it.\ntoken: The token; asked for on the "
     "terminal if not given."},
    {"userpass", true, "Logs a user in with a name and a password that the server keeps.", "username=sam",
     "password: Password; asked for on the terminal if not given.\nusername: Name of the user."},
};

}  // namespace

std::span<const LoginMethod> login_methods() { return kMethods; }

const LoginMethod* find_login_method(std::string_view name) {
  for (const LoginMethod& method : kMethods)
    if (method.name == name)
      return &method;
  return nullptr;
}

}  // namespace coffer::cli
