// A section of detent.toml that belongs to a channel's folder, and what the rest of Detent must know of it. A folder
// consumers/NAME brings it in its config.h as `detent::NAME::Settings`; the build finds it there.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"

namespace detent {

class Section;

class ChannelSection {
 public:
  virtual ~ChannelSection() = default;

  /// Reads [NAME]; `section` keeps what is wrong with it. Not called where the file has none.
  virtual void read(Section& section) = 0;

  /// The channels that are configured, as routes name them: "telegram", "discord.alerts".
  virtual std::vector<std::string> channels() const = 0;
  /// How its channels are named: "discord.NAME".
  virtual std::string naming() const = 0;
  /// What to write so that there is a channel of this name; empty where none of this section can have it.
  virtual std::string remedy(std::string_view channel) const = 0;
  /// What its channels need, and whose it is.
  virtual std::vector<std::pair<std::string, Secret>> secrets() const = 0;
  /// Whether `other`, of the same folder, says the same.
  virtual bool same(const ChannelSection& other) const = 0;

 protected:
  ChannelSection() = default;
  ChannelSection(const ChannelSection&) = default;
  ChannelSection& operator=(const ChannelSection&) = default;
};

/// One of each folder, with defaults, by the section's name.
std::vector<std::pair<std::string_view, std::shared_ptr<ChannelSection>>> channel_sections();

}  // namespace detent
