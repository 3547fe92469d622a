#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "http/client.h"
#include "tests/http/raw.h"

namespace detent::http {
namespace {

/// A certificate for one DNS name that signs itself, its PEM in a file, and a server's context that shows it.
class Identity {
 public:
  explicit Identity(const char* name) : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    X509_set_version(certificate_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), 3600);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* subject = X509_get_subject_name(certificate_);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(certificate_, subject);
    const std::string names = std::string("DNS:") + name;
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    X509_add_ext(certificate_, extension, -1);
    X509_EXTENSION_free(extension);
    X509_sign(certificate_, key_, EVP_sha256());
    path_ = testing::TempDir() + "detent-tls-" + std::to_string(::getpid()) + "-" + name + ".pem";
    std::FILE* file = std::fopen(path_.c_str(), "w");
    PEM_write_X509(file, certificate_);
    std::fclose(file);
    context_ = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context_, certificate_);
    SSL_CTX_use_PrivateKey(context_, key_);
  }
  ~Identity() {
    SSL_CTX_free(context_);
    X509_free(certificate_);
    EVP_PKEY_free(key_);
    std::filesystem::remove(path_);
  }
  const std::string& path() const { return path_; }
  SSL_CTX* context() const { return context_; }

 private:
  EVP_PKEY* key_;
  X509* certificate_;
  SSL_CTX* context_;
  std::string path_;
};

/// Answers each request with the name the client asked for (SNI), on one TLS connection.
void serve_tls(SSL_CTX* context, int fd) {
  std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context), SSL_free);
  SSL_set_fd(ssl.get(), fd);
  if (SSL_accept(ssl.get()) != 1) return;
  const char* asked = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
  const std::string body = asked ? asked : "none";
  char buffer[4096];
  while (SSL_read(ssl.get(), buffer, sizeof buffer) > 0) {
    const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    SSL_write(ssl.get(), text.data(), int(text.size()));
  }
}

TEST(Tls, TalksToAServerItCanVerifyAndKeepsTheConnection) {
  Identity identity("localhost");
  std::atomic<int> connections{0};
  RawServer server(1, [&](int fd) {
    ++connections;
    serve_tls(identity.context(), fd);
  });
  KeepAliveClient client({.ca_file = identity.path()});
  for (int i = 0; i < 3; ++i) {
    const auto answer = client.send({.url = "https://localhost:" + std::to_string(server.port()) + "/"});
    ASSERT_TRUE(answer) << answer.error().error.what;
    EXPECT_EQ(answer->body, "localhost");
  }
  EXPECT_EQ(connections, 1);
}

TEST(Tls, RefusesACertificateForAnotherName) {
  Identity identity("other.example");
  RawServer server(1, [&](int fd) { serve_tls(identity.context(), fd); });
  KeepAliveClient client({.ca_file = identity.path()});
  const auto answer = client.send({.url = "https://localhost:" + std::to_string(server.port()) + "/"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().sent, Sent::No);
}

TEST(Tls, RefusesACertificateNobodyVouchesFor) {
  Identity identity("localhost");
  RawServer server(1, [&](int fd) { serve_tls(identity.context(), fd); });
  KeepAliveClient client;
  const auto answer = client.send({.url = "https://localhost:" + std::to_string(server.port()) + "/"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().sent, Sent::No);
}

TEST(Tls, EndsAtTheDeadlineWhenTheServerDoesNotShakeHands) {
  RawServer server(1, [](int fd) { read_until(fd, "never"); });
  KeepAliveClient client;
  const auto answer =
      client.send({.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/", .deadline = Millis(150)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().sent, Sent::No);
  EXPECT_EQ(answer.error().error.code, ETIMEDOUT);
}

}  // namespace
}  // namespace detent::http
