// Masks secrets in a text without changing its length, so that it can be done inside an encoded message.
//
// Thread-safe: nothing is kept between calls, and Patterns do not change once compiled.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace detent {

/// The operator's own secrets as regular expressions (Perl syntax), each matched within one line.
class Patterns {
 public:
  Patterns();
  ~Patterns();
  Patterns(const Patterns&);
  Patterns(Patterns&&) noexcept;
  Patterns& operator=(Patterns);

  /// An error names the expression that does not compile, and why.
  static Result<Patterns> compile(const std::vector<std::string>& expressions);

  /// Masks what the expressions match. A line on which one gives up (it takes too much work) is masked as a whole;
  /// after several such lines, all that follow are.
  bool redact(std::span<char> text) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

/// Overwrites each secret with "[redacted]" and stars up to its length (stars alone below ten bytes): tokens of known
/// shape (Telegram, Discord, GitHub, GitLab, Anthropic, OpenAI, AWS, Slack, Stripe, Google, DigitalOcean, npm, Hugging
/// Face, PyPI, SendGrid, JWT), private keys in PEM, Authorization headers, the values of keys named password, secret,
/// token, api_key and the like, passwords in URLs, and what `patterns` match. UTF-8 stays UTF-8. True where there was
/// any.
bool redact(std::span<char> text, const Patterns& patterns);

/// Overwrites `value` likewise where `name` calls it a secret ("password", "api_key"): of a field, a label, a header.
bool redact_value(std::string_view name, std::span<char> value);

}  // namespace detent
