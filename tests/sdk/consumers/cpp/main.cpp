// A C++17 consumer of the SDK: tasks, a channel and a TCP echo over loopback behind RAII wrappers.
//
// Ends with 0 and prints "ok" when all went as it must.

#include <llam/runtime.h>

#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace llam {

[[noreturn]] void fail(const char *what) {
    throw std::system_error(errno, std::generic_category(), what);
}

// The default runtime, live as long as this object.
class Runtime {
public:
    Runtime() {
        llam_runtime_opts_t options;
        if (llam_runtime_opts_init(&options, sizeof options) != 0) fail("options");
        if (llam_runtime_init_ex(&options, sizeof options) != 0) fail("init");
    }
    ~Runtime() { llam_runtime_shutdown(); }
    Runtime(const Runtime &) = delete;
    Runtime &operator=(const Runtime &) = delete;

    void run() {
        if (llam_run() != 0) fail("run");
    }
};

// A task that is joined when its object goes away. The callable must not throw.
class Task {
public:
    explicit Task(std::function<void()> body)
        : body_(std::make_unique<std::function<void()>>(std::move(body))),
          handle_(llam_spawn(&Task::enter, body_.get(), nullptr)) {
        if (handle_ == nullptr) fail("spawn");
    }
    Task(Task &&other) noexcept
        : body_(std::move(other.body_)), handle_(std::exchange(other.handle_, nullptr)) {}
    Task &operator=(Task &&) = delete;
    ~Task() {
        if (handle_ != nullptr && llam_join(handle_) != 0) std::terminate();
    }

private:
    static void enter(void *body) { (*static_cast<std::function<void()> *>(body))(); }

    std::unique_ptr<std::function<void()>> body_;
    llam_task_t *handle_;
};

// A channel that owns what lies in it.
template <typename T>
class Channel {
public:
    explicit Channel(std::size_t capacity) : handle_(llam_channel_create(capacity)) {
        if (handle_ == nullptr) fail("channel");
    }
    ~Channel() {
        close();
        void *value = nullptr;
        while (llam_channel_try_recv_result(handle_, &value) == 0) delete static_cast<T *>(value);
        if (llam_channel_destroy(handle_) != 0) std::terminate();
    }
    Channel(const Channel &) = delete;
    Channel &operator=(const Channel &) = delete;

    void send(T value) {
        auto owned = std::make_unique<T>(std::move(value));
        if (llam_channel_send(handle_, owned.get()) != 0) fail("send");
        static_cast<void>(owned.release());
    }
    // Nothing when the channel is closed and empty.
    std::unique_ptr<T> receive() {
        void *value = nullptr;
        if (llam_channel_recv_result(handle_, &value) != 0) {
            if (errno == EPIPE) return nullptr;
            fail("receive");
        }
        return std::unique_ptr<T>(static_cast<T *>(value));
    }
    void close() { llam_channel_close(handle_); }

private:
    llam_channel_t *handle_;
};

class Socket {
public:
    explicit Socket(llam_fd_t fd) : fd_(fd) {
        if (LLAM_FD_IS_INVALID(fd_)) fail("socket");
    }
    Socket(Socket &&other) noexcept : fd_(std::exchange(other.fd_, LLAM_INVALID_FD)) {}
    Socket &operator=(Socket &&) = delete;
    ~Socket() {
        if (!LLAM_FD_IS_INVALID(fd_)) llam_close(fd_);
    }

    llam_fd_t fd() const { return fd_; }

    void write(const std::string &text) const {
        for (std::size_t at = 0; at < text.size();) {
            ssize_t wrote = llam_write(fd_, text.data() + at, text.size() - at);
            if (wrote < 0) fail("write");
            at += static_cast<std::size_t>(wrote);
        }
    }
    // Empty at the end of the stream.
    std::string read() const {
        llam_io_buffer_t *raw = nullptr;
        ssize_t got = llam_read_owned(fd_, 4096, &raw);
        if (got < 0) fail("read");
        std::unique_ptr<llam_io_buffer_t, void (*)(llam_io_buffer_t *)> buffer(
            raw, llam_io_buffer_release);
        if (got == 0) return {};
        return {static_cast<const char *>(llam_io_buffer_data(raw)), llam_io_buffer_size(raw)};
    }

private:
    llam_fd_t fd_;
};

}  // namespace llam

namespace {

void require(bool condition, const char *what) {
    if (!condition) throw std::runtime_error(what);
}

// What a task must not let out of itself: reported, and the process ends.
std::function<void()> guarded(std::function<void()> body) {
    return [body = std::move(body)] {
        try {
            body();
        } catch (const std::exception &error) {
            std::fprintf(stderr, "failed: %s\n", error.what());
            std::_Exit(1);
        }
    };
}

constexpr int kMessages = 100;

void channel_between_tasks() {
    llam::Channel<std::string> channel(4);
    int received = 0;
    {
        llam::Task consumer(guarded([&] {
            while (auto text = channel.receive())
                require(*text == "message " + std::to_string(received++), "order");
        }));
        llam::Task producer(guarded([&] {
            for (int i = 0; i < kMessages; i++) channel.send("message " + std::to_string(i));
            channel.close();
        }));
    }
    require(received == kMessages, "all messages");
}

constexpr int kClients = 8;

void echo_over_loopback() {
    llam::Socket server(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    socklen_t length = sizeof address;
    require(bind(server.fd(), generic, length) == 0, "bind");
    require(listen(server.fd(), kClients) == 0, "listen");
    require(getsockname(server.fd(), generic, &length) == 0, "getsockname");

    int answered = 0;
    std::vector<llam::Task> tasks;
    tasks.emplace_back(guarded([&] {
        std::vector<llam::Task> connections;
        for (int i = 0; i < kClients; i++) {
            auto accepted =
                std::make_shared<llam::Socket>(llam_accept(server.fd(), nullptr, nullptr));
            connections.emplace_back(guarded([accepted] {
                for (auto text = accepted->read(); !text.empty(); text = accepted->read())
                    accepted->write(text);
            }));
        }
    }));
    llam_mutex_t *mutex = llam_mutex_create();
    require(mutex != nullptr, "mutex");
    for (int i = 0; i < kClients; i++) {
        tasks.emplace_back(guarded([&, i] {
            llam::Socket client(socket(AF_INET, SOCK_STREAM, 0));
            if (llam_connect(client.fd(), generic, sizeof address) != 0) llam::fail("connect");
            const std::string question = "question " + std::to_string(i);
            client.write(question);
            std::string answer;
            while (answer.size() < question.size()) {
                const std::string more = client.read();
                require(!more.empty(), "an answer before the end");
                answer += more;
            }
            require(answer == question, "the same text");
            require(llam_mutex_lock(mutex) == 0, "lock");
            answered++;
            require(llam_mutex_unlock(mutex) == 0, "unlock");
        }));
    }
    tasks.clear();
    require(llam_mutex_destroy(mutex) == 0, "mutex destroy");
    require(answered == kClients, "all answers");
}

// Exceptions are thrown and caught on the stack of a task, and go on over a park.
void exceptions_in_a_task() {
    int caught = 0;
    llam::Task task(guarded([&] {
        for (int i = 0; i < 3; i++) {
            try {
                try {
                    throw std::invalid_argument("inner");
                } catch (...) {
                    llam_yield();
                    throw;
                }
            } catch (const std::invalid_argument &) {
                caught++;
            }
        }
        require(caught == 3, "all exceptions");
    }));
}

}  // namespace

int main() {
    try {
        require(llam_abi_version() == LLAM_ABI_VERSION, "the library is that of the header");
        llam::Runtime runtime;
        auto everything = std::make_unique<std::function<void()>>(guarded([] {
            channel_between_tasks();
            echo_over_loopback();
            exceptions_in_a_task();
        }));
        llam_task_t *task = llam_spawn(
            [](void *body) { (*static_cast<std::function<void()> *>(body))(); }, everything.get(),
            nullptr);
        if (task == nullptr) llam::fail("spawn");
        runtime.run();
        require(llam_join(task) == 0, "join");
    } catch (const std::exception &error) {
        std::fprintf(stderr, "failed: %s\n", error.what());
        return 1;
    }
    std::puts("ok");
    return 0;
}
