#include "journal/batch.h"

#include <cstring>
#include <new>

#include "base/result.h"

namespace detent {

void Batch::grow(std::size_t size) {
  std::size_t capacity = capacity_ == 0 ? 4096 : capacity_;
  while (capacity < size) capacity *= 2;
  if (capacity == capacity_) return;
  char* bytes = static_cast<char*>(std::realloc(buffer_.get(), capacity));
  if (bytes == nullptr) throw std::bad_alloc();
  (void)buffer_.release();  // realloc has freed it
  buffer_.reset(bytes);
  capacity_ = capacity;
}

std::uint32_t Batch::append(std::string_view record) {
  std::memcpy(begin(record.size()), record.data(), record.size());
  return finish(record.size());
}

char* Batch::begin(std::size_t most) {
  CHECK(!begun_, "one record at a time");
  CHECK(size_ + kRecordHeaderBytes + most <= kMaxBytes, "a batch is at most 1 GiB");
  grow(size_ + kRecordHeaderBytes + most);
  begun_ = true;
  return buffer_.get() + size_ + kRecordHeaderBytes;
}

std::uint32_t Batch::finish(std::size_t used) {
  CHECK(begun_, "begin comes first");
  CHECK(used > 0 && size_ + kRecordHeaderBytes + used <= capacity_, "a record lies within what was begun");
  const auto offset = static_cast<std::uint32_t>(size_);
  const auto length = static_cast<std::uint32_t>(used);
  std::memcpy(buffer_.get() + size_, &length, sizeof length);
  size_ += kRecordHeaderBytes + used;
  ++count_;
  begun_ = false;
  return offset;
}

char* Batch::sealing_room() {
  grow(kHeaderBytes);
  return buffer_.get();
}

std::string_view Batch::padded(std::size_t sector) {
  CHECK(!begun_, "a begun record is finished first");
  const std::size_t whole = (size_ + sector - 1) / sector * sector;
  grow(whole);
  std::memset(buffer_.get() + size_, 0, whole - size_);
  return {buffer_.get(), whole};
}

void Batch::clear() {
  size_ = kHeaderBytes;
  count_ = 0;
  begun_ = false;
}

}  // namespace detent
