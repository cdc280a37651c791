// One run of one request against one view: who asks, what for, whether they may, and the handler. Part of
// core/pipeline.
#pragma once

#include <optional>

#include "core/call.h"
#include "core/identity_access.h"
#include "core/pipeline_state.h"
#include "core/token_store.h"

namespace coffer::core {

// Everything given outlives it. Call authorise(), prepare(), handle(), finish() once, in this order.
class Run {
 public:
  Run(Exchange& exchange, PipelineState& state, const Services& services, const store::View& view,
      const Published& published);

  // Of a request whose body was not looked at: whether the rate quotas that can be told by its head let it in. Instead
  // of all others.
  bool admit();
  // Namespace, route, token, policy. A refusal is in the response then, and handle() does nothing. Fills the audit
  // facts.
  void authorise();
  // True: what was unwrapped is a request that others agreed to. It has taken this one's place and has to be run.
  bool take_over_waiting();
  // Refuses what asks for a state that the view does not hold, or leaves it to the node that leads.
  void check_known_states(Index at);
  // At a node that does not lead: whether the request is none that it answers. After authorise().
  bool is_leaders();
  // After handle(): what was told of stands in the memory of the node that leads.
  bool of_leader() const noexcept { return of_leader_; }
  // True: the state holds work now that is to be performed before another run.
  bool prepare();
  // The handler, and wrapping of its answer where that was asked for.
  void handle();
  // Instead of the three, after the call to a system outside: what follows of it, with the answer that it left.
  void conclude();
  // Counts the token's use. True when there is something to commit, or something that was read is not committed yet:
  // the proposal is in the state then.
  bool finish(Term term);

  // A quota refused it, and such requests are not audited.
  bool unaudited_refusal() const noexcept { return unaudited_refusal_; }
  // A record was sealed under a key that this keyring does not hold yet.
  bool wants_newer_keyring() const noexcept { return wants_newer_keyring_; }

 private:
  void find_namespace();
  const Route* match_route() const;
  std::optional<std::uint64_t> client_mark() const;
  void note_client();
  bool too_busy() const;
  void resolve();
  void fold_captures();
  bool reaches_namespace(const TokenRecord& token);
  std::string_view cubbyhole_key();
  bool guarded() const;  // root-protected
  bool open_path() const;
  Status authenticate();
  Status identify();
  void take_rate();
  void refuse_for_rate();
  Status check_lease_quota(CallContext& ctx);
  std::string_view quota_role(QuotaKind kind);
  Status check_policy();
  Status check_lockout();
  Status check_answer(CallContext& ctx);
  std::string_view token_text();
  Status check_approval(const Decision& decision, Capability wanted);
  Status keep_for_approval(CallContext& ctx);
  Result<bool> unwrap_waiting();
  bool is_login() const;
  void count_login(const Status& outcome);
  Result<Capability> capability();
  void fill_facts();
  void refuse(int status, std::string_view error);
  void explain_refusal(std::string_view path, Capability wanted);
  void note(const Status& status);
  Status call_handler();
  Status wrap_and_hand_out(CallContext& ctx);
  void answer_help();
  void maybe_wrap();
  Status count_use();
  void depend_on_authority();
  CallContext context();

  Exchange& exchange_;
  PipelineState& state_;
  const Services& services_;
  const Published& published_;
  TxnImpl txn_;
  TokenStore tokens_;
  std::string_view full_path_;
  std::string_view seen_path_;      // by policies and quotas: names without case in lower case
  const NamespaceRecord* namespace_ = nullptr;
  bool namespace_found_ = true;             // false: the header names none; namespace_ is the deepest that there is
  std::string_view acl_prefix_;             // from the token's namespace to the request's
  const Route* route_ = nullptr;
  std::string_view local_path_;             // below the mount
  std::optional<PathMatch> match_;
  bool root_only_ = false;  // it belongs to the root alone, and this is another namespace
  std::optional<StoredToken> token_;
  std::optional<Identity> identity_;        // of the token
  std::string_view policies_;               // of the token and its identity, joined
  std::shared_ptr<const Acl> acl_owner_;
  const Acl* acl_ = nullptr;
  const Approval* waits_for_ = nullptr;     // others have to agree first
  const Constraints* list_rules_ = nullptr;  // that bound what a list answers
  std::optional<Request> bounded_;          // what the handler sees then
  std::string_view login_name_;             // that failed logins are counted by; empty: none
  bool sudo_ = false;
  bool refused_ = false;
  bool of_leader_ = false;                  // only the node that leads can answer
  std::string_view why_;                    // refused by policies; told to whom may know
  bool unaudited_refusal_ = false;
  bool concludes_ = false;
  bool wants_newer_keyring_ = false;
  std::optional<Storage> storage_;
};

}  // namespace coffer::core
