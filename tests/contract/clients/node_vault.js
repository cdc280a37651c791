// node_vault.js NAME: one scenario of the client `node-vault` against the dev server on 127.0.0.1:8200, whose root token is `root`.
// Prints `done NAME`, or the failed assertion. NODE_PATH must name the folder with node-vault.
'use strict';

const assert = require('assert').strict;
const nodeVault = require('node-vault');

const reader = 'path "secret/data/team/*" {\n  capabilities = ["read", "list"]\n}';
const scenarios = {};

function connect(token, options) {
  return nodeVault({ endpoint: 'http://127.0.0.1:8200', token, ...options });
}

// The refusal of `promise`: HTTP status, and a text that its first error has.
async function refused(status, text, promise) {
  const error = await promise.then(() => null, (reason) => reason);
  assert.ok(error, `answered instead of ${status}`);
  assert.equal(error.response && error.response.statusCode, status, String(error));
  assert.match(error.message, text);
}

scenarios.system = async () => {
  const vault = connect('root');
  const health = await vault.health();
  assert.deepEqual([health.initialized, health.sealed, health.standby], [true, false, false]);
  assert.deepEqual(await vault.initialized(), { initialized: true });
  const status = await vault.status();
  assert.deepEqual([status.type, status.sealed, status.t, status.n], ['shamir', false, 1, 1]);
  await vault.mount({ mount_point: 'team', type: 'kv', options: { version: '2' }, description: 'ours' });
  const mounts = await vault.mounts();
  assert.deepEqual([mounts.data['team/'].type, mounts['team/'].options, mounts['team/'].description], ['kv', { version: '2' }, 'ours']);
  await refused(400, /path is already in use at team\//, vault.mount({ mount_point: 'team', type: 'kv' }));
  await vault.remount({ from: 'team', to: 'crew' });
  await vault.unmount({ mount_point: 'crew' });
  await vault.enableAudit({ name: 'file', type: 'file', options: { file_path: '/vault/logs/node.log' } });
  assert.equal((await vault.audits()).data['file/'].options.file_path, '/vault/logs/node.log');
  await vault.disableAudit({ name: 'file' });
  await refused(403, /permission denied/, connect('hvs.wrong').mounts());
  await vault.seal();
  assert.equal((await vault.health()).sealed, true);
};

scenarios.kv1 = async () => {
  const vault = connect('root');
  await vault.mount({ mount_point: 'old', type: 'kv', options: { version: '1' } });
  await vault.write('old/app/db', { user: 'app', port: 5432, list: [1, 'ü✓'], none: null });
  const answer = await vault.read('old/app/db');
  assert.deepEqual(answer.data, { user: 'app', port: 5432, list: [1, 'ü✓'], none: null });
  assert.equal(answer.lease_duration, 2764800);
  assert.deepEqual((await vault.list('old/app')).data.keys, ['db']);
  assert.deepEqual((await connect('root', { noCustomHTTPVerbs: true }).list('old/')).data.keys, ['app/']);
  await vault.delete('old/app/db');
  await refused(404, /Status 404/, vault.read('old/app/db'));
  await refused(404, /Status 404/, vault.list('old/app'));
};

scenarios.kv2 = async () => {
  const vault = connect('root');
  assert.equal((await vault.write('secret/data/app/db', { data: { a: '1' }, options: { cas: 0 } })).data.version, 1);
  await refused(400, /check-and-set parameter did not match the current version/,
    vault.write('secret/data/app/db', { data: {}, options: { cas: 0 } }));
  assert.equal((await vault.update('secret/data/app/db', { data: { b: 2 } })).data.version, 2);
  assert.deepEqual((await vault.read('secret/data/app/db')).data.data, { a: '1', b: 2 });
  assert.deepEqual((await vault.read('secret/data/app/db?version=1')).data.data, { a: '1' });
  assert.deepEqual((await vault.list('secret/metadata/app')).data.keys, ['db']);
  await vault.delete('secret/data/app/db');
  await refused(404, /Status 404/, vault.read('secret/data/app/db'));
  await vault.write('secret/undelete/app/db', { versions: [2] });
  await vault.destroySecretVersions({ path: 'app/db', versions: [1] });
  await vault.write('secret/metadata/app/db', { max_versions: 7, custom_metadata: { owner: 'me' } });
  const metadata = (await vault.read('secret/metadata/app/db')).data;
  assert.deepEqual([metadata.current_version, metadata.max_versions, metadata.custom_metadata], [2, 7, { owner: 'me' }]);
  assert.deepEqual([metadata.versions[1].destroyed, metadata.versions[2].destroyed], [true, false]);
  await vault.delete('secret/metadata/app/db');
  await refused(404, /Status 404/, vault.read('secret/metadata/app/db'));
};

scenarios.tokens_and_policies = async () => {
  const vault = connect('root');
  await vault.addPolicy({ name: 'reader', rules: reader });
  assert.equal((await vault.getPolicy({ name: 'reader' })).data.rules, reader);
  assert.deepEqual((await vault.policies()).data.policies, ['default', 'reader', 'root']);
  // A connection goes on with the token that it made: each of these has its own.
  const made = (await connect('root').tokenCreate({ policies: ['reader'], ttl: '1h', display_name: 'worker', meta: { of: 'node' } })).auth;
  assert.deepEqual([made.policies, made.lease_duration, made.renewable, made.metadata], [['default', 'reader'], 3600, true, { of: 'node' }]);
  await vault.write('secret/data/team/x', { data: { a: '1' } });
  const worker = connect(made.client_token);
  assert.deepEqual((await worker.read('secret/data/team/x')).data.data, { a: '1' });
  await refused(403, /permission denied/, worker.write('secret/data/team/x', { data: {} }));
  const own = (await worker.tokenLookupSelf()).data;
  assert.deepEqual([own.id, own.accessor, own.display_name], [made.client_token, made.accessor, 'token-worker']);
  assert.equal((await worker.tokenRenewSelf({ increment: '2h' })).auth.lease_duration, 7200);
  assert.ok((await vault.tokenLookup({ token: made.client_token })).data.ttl > 7000);
  assert.equal((await vault.tokenLookupAccessor({ accessor: made.accessor })).data.id, '');
  assert.ok((await vault.tokenAccessors()).data.keys.includes(made.accessor));
  await vault.tokenRevoke({ token: made.client_token });
  await refused(403, /permission denied/, worker.tokenLookupSelf());
  const orphan = (await connect('root').tokenCreateOrphan({ policies: ['default'] })).auth;
  assert.equal(orphan.orphan, true);
  await vault.tokenRevokeAccessor({ accessor: orphan.accessor });
  await vault.removePolicy({ name: 'reader' });
  await refused(404, /./, vault.getPolicy({ name: 'reader' }));
};

scenarios.userpass = async () => {
  const vault = connect('root');
  await vault.enableAuth({ mount_point: 'userpass', type: 'userpass' });
  assert.equal((await vault.auths()).data['userpass/'].type, 'userpass');
  await vault.write('auth/userpass/users/ann', { password: 'pw', policies: 'default' });
  const ann = connect();
  const auth = (await ann.userpassLogin({ username: 'ann', password: 'pw' })).auth;
  assert.deepEqual([auth.policies, auth.metadata, ann.token], [['default'], { username: 'ann' }, auth.client_token]);
  assert.equal((await ann.tokenLookupSelf()).data.path, 'auth/userpass/login/ann');
  await refused(400, /invalid username or password/, connect().userpassLogin({ username: 'ann', password: 'wrong' }));
  await ann.tokenRevokeSelf();
  await refused(403, /permission denied/, ann.tokenLookupSelf());
  await vault.disableAuth({ mount_point: 'userpass' });
};

scenarios.approle = async () => {
  const vault = connect('root');
  await vault.enableAuth({ mount_point: 'approle', type: 'approle' });
  await vault.addApproleRole({ role_name: 'web', token_policies: 'default', policies: 'default', secret_id_num_uses: 1 });
  assert.deepEqual((await vault.approleRoles()).data.keys, ['web']);
  const role = (await vault.getApproleRoleId({ role_name: 'web' })).data.role_id;
  const secret = (await vault.getApproleRoleSecret({ role_name: 'web' })).data.secret_id;
  const web = connect();
  const auth = (await web.approleLogin({ role_id: role, secret_id: secret })).auth;
  assert.deepEqual([auth.policies, auth.metadata.role_name], [['default'], 'web']);
  assert.equal((await web.tokenLookupSelf()).data.display_name, 'approle');
  await refused(400, /invalid role or secret ID/, connect().approleLogin({ role_id: role, secret_id: secret }));
  await vault.deleteApproleRole({ role_name: 'web' });
};

scenarios.wrapping = async () => {
  const vault = connect('root');
  await vault.write('secret/data/w', { data: { a: 'b' } });
  const wrapped = await vault.read('secret/data/w', { headers: { 'X-Vault-Wrap-TTL': '60s' } });
  assert.deepEqual([wrapped.wrap_info.ttl, wrapped.data], [60, null]);
  assert.deepEqual((await vault.unwrap({ token: wrapped.wrap_info.token })).data.data, { a: 'b' });
  await refused(400, /wrapping token is not valid or does not exist/, vault.unwrap({ token: wrapped.wrap_info.token }));
  const second = await vault.tokenCreate({ policies: ['default'], requestOptions: { headers: { 'X-Vault-Wrap-TTL': '60s' } } });
  assert.equal((await connect(second.wrap_info.token).unwrap()).auth.policies[0], 'default');
};

const name = process.argv[2];
scenarios[name]().then(() => console.log(`done ${name}`), (error) => {
  console.log(error.stack, error.response ? JSON.stringify(error.response) : '');
  process.exitCode = 1;
});
