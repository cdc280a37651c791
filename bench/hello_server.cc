// The ceiling of HTTP on this machine: Boost.Beast and Asio answering a constant text, one io_context a thread, nothing
// else. Measured with `wrk -t2 -c32 -d10 http://127.0.0.1:PORT/`; bench/http_server.cc is the same for this project's
// listener.
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : socket_(std::move(socket)) { socket_.set_option(tcp::no_delay(true)); }

  void read() {
    request_ = {};
    http::async_read(socket_, buffer_, request_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error)
        self->write();
    });
  }

 private:
  void write() {
    response_ = {};
    response_.version(11);
    response_.result(http::status::ok);
    response_.set(http::field::content_type, "application/json");
    response_.set(http::field::cache_control, "no-store");
    response_.body() = "hello";
    response_.prepare_payload();
    http::async_write(socket_, response_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error)
        self->read();
    });
  }

  tcp::socket socket_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

void accept_next(tcp::acceptor& acceptor, std::vector<std::unique_ptr<asio::io_context>>& contexts, std::size_t next) {
  asio::io_context& context = *contexts[next % contexts.size()];
  acceptor.async_accept(context, [&, next](beast::error_code error, tcp::socket socket) {
    if (!error) {
      auto session = std::make_shared<Session>(std::move(socket));
      asio::post(contexts[next % contexts.size()]->get_executor(), [session] { session->read(); });
    }
    accept_next(acceptor, contexts, next + 1);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 0);
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::unique_ptr<asio::io_context>> contexts;
  for (unsigned i = 0; i < threads; ++i)
    contexts.push_back(std::make_unique<asio::io_context>(1));
  tcp::acceptor acceptor(*contexts[0], {asio::ip::make_address("127.0.0.1"), port});
  std::printf("http://127.0.0.1:%u/\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  accept_next(acceptor, contexts, 0);
  std::vector<std::thread> runners;
  for (unsigned i = 0; i < threads; ++i) {
    runners.emplace_back([&contexts, i] {
      const auto work = asio::make_work_guard(*contexts[i]);
      contexts[i]->run();
    });
  }
  for (std::thread& runner : runners)
    runner.join();
}
