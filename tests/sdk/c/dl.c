/* Loading the shared library at run time: abi.md Appendix A "dlopen of the shared library", 1.1, 2.7,
 * Appendix B.1.
 *
 * Not linked with the library: `dl PATH [TEST]`, where PATH is the shared library's file.
 */
#include "check.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <libgen.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "functions.h"

static const char *library_path;

static void *open_library(int flags) {
    void *library = dlopen(library_path, flags);
    if (library == NULL) FAIL("dlopen: %s", dlerror());
    return library;
}

/* Stores the address of `name` in the function pointer at `out`. */
static void find(void *library, const char *name, void *out) {
    void *address = dlsym(library, name);
    if (address == NULL) FAIL("%s is not found", name);
    memcpy(out, &address, sizeof address);
}

#define LOCAL(name) __typeof__(llam_##name) *name

#define NAME(name) #name,
static const char *const names[] = {LLAM_FUNCTIONS(NAME)};
#define NAME_COUNT (sizeof names / sizeof names[0])

static int is_public(const char *name) {
    for (size_t i = 0; i < NAME_COUNT; i++)
        if (strcmp(names[i], name) == 0) return 1;
    return 0;
}

/* Appendix A: dlopen and dlclose work without any runtime call, any number of times. */
TEST(open_and_close_work_without_any_call) {
    static const int flags[] = {RTLD_NOW, RTLD_LAZY, RTLD_NOW | RTLD_GLOBAL};
    for (int round = 0; round < 30; round++) {
        void *library = open_library(flags[round % 3]);
        CHECK_OK(dlclose(library));
    }
}

/* Appendix B.1: the library is loaded by a path relative to the working directory. */
TEST(a_relative_path_with_a_dot_opens_it) {
    char directory[4096], file[4096], relative[4200];
    CHECK(strlen(library_path) < sizeof file);
    strcpy(directory, library_path);
    strcpy(file, library_path);
    snprintf(relative, sizeof relative, "./%s", basename(file));
    CHECK_OK(chdir(dirname(directory)));
    void *library = dlopen(relative, RTLD_NOW);
    if (library == NULL) FAIL("dlopen: %s", dlerror());
    CHECK_OK(dlclose(library));
}

/* Appendix A: dlsym of all public names, each inside this library. */
TEST(all_130_names_are_found) {
    void *library = open_library(RTLD_NOW);
    CHECK_EQ(NAME_COUNT, LLAM_FUNCTION_COUNT);
    for (size_t i = 0; i < NAME_COUNT; i++) {
        void *address = dlsym(library, names[i]);
        if (address == NULL) FAIL("%s is not found", names[i]);
        Dl_info info;
        CHECK(dladdr(address, &info) != 0);
        CHECK_STR(info.dli_fname, library_path);
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[j], names[i]) == 0) FAIL("%s is listed twice", names[i]);
    }
    CHECK_OK(dlclose(library));
}

/* Appendix B.1: internal names are not found; 2.7: nor are the inline functions of the headers. */
TEST(internal_and_inline_names_are_not_found) {
    static const char *const hidden[] = {
        "llam_ctx_switch", "llam_fiber_bootstrap", "llam_linux_futex_wait_private",
        "llam_fd_is_invalid", "llam_handle_is_invalid", "llam_preempt_poll_every",
        "rust_eh_personality", "rust_begin_unwind", "rust_panic", "__rust_alloc",
        "__rust_dealloc", "__rust_realloc", "__rdl_alloc", "__rg_alloc",
        "llam_ext_runtime_create", "llam_runtime_create_ex", "main"};
    void *library = open_library(RTLD_NOW);
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        Dl_info info;
        void *address = dlsym(library, hidden[i]);
        if (address != NULL && dladdr(address, &info) != 0 &&
            strcmp(info.dli_fname, library_path) == 0)
            FAIL("%s is exported", hidden[i]);
    }
    CHECK_OK(dlclose(library));
}

static const char *map_library(size_t *size) {
    struct stat status;
    int fd = open(library_path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_OK(fstat(fd, &status));
    void *image = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(image != MAP_FAILED);
    *size = (size_t)status.st_size;
    return image;
}

/* The first section of this type, NULL when there is none. */
static const ElfW(Shdr) *find_section(const char *image, uint32_t type) {
    const ElfW(Ehdr) *header = (const void *)image;
    CHECK(memcmp(header->e_ident, ELFMAG, SELFMAG) == 0);
    const ElfW(Shdr) *sections = (const void *)(image + header->e_shoff);
    for (size_t i = 0; i < header->e_shnum; i++)
        if (sections[i].sh_type == type) return &sections[i];
    return NULL;
}

static const char *strings_of(const char *image, const ElfW(Shdr) *section) {
    const ElfW(Ehdr) *header = (const void *)image;
    const ElfW(Shdr) *sections = (const void *)(image + header->e_shoff);
    return image + sections[section->sh_link].sh_offset;
}

/* Appendix A: nothing but the 130 functions is exported. */
TEST(the_symbol_table_exports_nothing_else) {
    size_t size, exported = 0;
    const char *image = map_library(&size);
    const ElfW(Shdr) *section = find_section(image, SHT_DYNSYM);
    CHECK(section != NULL);
    const ElfW(Sym) *symbols = (const void *)(image + section->sh_offset);
    for (size_t i = 0; i < section->sh_size / sizeof *symbols; i++) {
        unsigned char binding = ELF64_ST_BIND(symbols[i].st_info);
        const char *name = strings_of(image, section) + symbols[i].st_name;
        if (symbols[i].st_shndx == SHN_UNDEF || binding == STB_LOCAL) continue;
        if (!is_public(name)) FAIL("%s is exported", name);
        CHECK_EQ(ELF64_ST_TYPE(symbols[i].st_info), STT_FUNC);
        exported++;
    }
    CHECK_EQ(exported, LLAM_FUNCTION_COUNT);
}

/* Appendix B.1: the soname has the ABI major number. */
TEST(the_soname_is_that_of_abi_2) {
    size_t size;
    const char *image = map_library(&size), *soname = NULL;
    const ElfW(Shdr) *section = find_section(image, SHT_DYNAMIC);
    CHECK(section != NULL);
    const ElfW(Dyn) *entries = (const void *)(image + section->sh_offset);
    for (size_t i = 0; i < section->sh_size / sizeof *entries && entries[i].d_tag != DT_NULL; i++)
        if (entries[i].d_tag == DT_SONAME)
            soname = strings_of(image, section) + entries[i].d_un.d_val;
    CHECK_STR(soname, "libllam_runtime.so.2");
}

/* 4.1: the version calls need no runtime; 1.1: a loader that wants an exact match gets one. */
TEST(the_version_calls_work_through_pointers) {
    void *library = open_library(RTLD_NOW);
    LOCAL(abi_version);
    LOCAL(version_string);
    LOCAL(abi_get_info);
    llam_abi_info_t info;
    find(library, "llam_abi_version", &abi_version);
    find(library, "llam_version_string", &version_string);
    find(library, "llam_abi_get_info", &abi_get_info);
    CHECK_EQ(abi_version(), LLAM_ABI_VERSION);
    CHECK_STR(version_string(), "2.1.0");
    CHECK_OK(abi_get_info(&info, sizeof info));
    CHECK_EQ(info.struct_size, sizeof info);
    CHECK_OK(dlclose(library));
}

/* What a task needs, found by dlsym. */
struct api {
    LOCAL(runtime_init_ex);
    LOCAL(runtime_shutdown);
    LOCAL(runtime_create);
    LOCAL(runtime_run_handle);
    LOCAL(runtime_spawn_ex);
    LOCAL(runtime_destroy);
    LOCAL(spawn_ex);
    LOCAL(run);
    LOCAL(join);
    LOCAL(detach);
    LOCAL(sleep_ns);
    LOCAL(yield);
    LOCAL(call_blocking_result);
    LOCAL(current_task);
    LOCAL(task_state_name);
    int steps;
};

static void load_api(void *library, struct api *api) {
    memset(api, 0, sizeof *api);
    find(library, "llam_runtime_init_ex", &api->runtime_init_ex);
    find(library, "llam_runtime_shutdown", &api->runtime_shutdown);
    find(library, "llam_runtime_create", &api->runtime_create);
    find(library, "llam_runtime_run_handle", &api->runtime_run_handle);
    find(library, "llam_runtime_spawn_ex", &api->runtime_spawn_ex);
    find(library, "llam_runtime_destroy", &api->runtime_destroy);
    find(library, "llam_spawn_ex", &api->spawn_ex);
    find(library, "llam_run", &api->run);
    find(library, "llam_join", &api->join);
    find(library, "llam_detach", &api->detach);
    find(library, "llam_sleep_ns", &api->sleep_ns);
    find(library, "llam_yield", &api->yield);
    find(library, "llam_call_blocking_result", &api->call_blocking_result);
    find(library, "llam_current_task", &api->current_task);
    find(library, "llam_task_state_name", &api->task_state_name);
}

static void *on_the_pool(void *arg) {
    struct api *api = arg;
    api->steps++;
    return api;
}

static void child_task(void *arg) {
    struct api *api = arg;
    CHECK_OK(api->sleep_ns(CHECK_MS));
    api->steps++;
}

static void parent_task(void *arg) {
    struct api *api = arg;
    void *result = NULL;
    llam_task_t *child = api->spawn_ex(child_task, api, NULL, 0);
    CHECK(child != NULL);
    api->yield();
    CHECK_OK(api->join(child));
    CHECK_OK(api->call_blocking_result(on_the_pool, api, &result));
    CHECK_PTR(result, api);
    api->steps++;
}

static void run_both_runtimes(struct api *api) {
    llam_runtime_t *runtime = NULL;
    CHECK_OK(api->runtime_init_ex(NULL, 0));
    llam_task_t *task = api->spawn_ex(parent_task, api, NULL, 0);
    CHECK(task != NULL);
    CHECK_OK(api->run());
    CHECK_OK(api->join(task));
    CHECK_EQ(api->steps, 3);
    CHECK_OK(api->runtime_create(NULL, 0, &runtime));
    task = api->runtime_spawn_ex(runtime, parent_task, api, NULL, 0);
    CHECK(task != NULL);
    CHECK_OK(api->detach(task));
    CHECK_OK(api->runtime_run_handle(runtime));
    CHECK_EQ(api->steps, 6);
    api->runtime_destroy(runtime);
    api->runtime_shutdown();
}

static void *return_at_once(void *arg) { return arg; }

/* The library may be closed after a run and a shutdown, and opened again; the process goes on with
 * new threads and ends normally, through its exit handlers. */
TEST(close_after_a_run_leaves_the_process_working) {
    for (int round = 0; round < 5; round++) {
        struct api api;
        void *library = open_library(RTLD_NOW);
        load_api(library, &api);
        run_both_runtimes(&api);
        CHECK_OK(dlclose(library));
        pthread_t thread;
        CHECK_OK(pthread_create(&thread, NULL, return_at_once, NULL));
        CHECK_OK(pthread_join(thread, NULL));
    }
    exit(0);
}

struct visitor {
    struct api api;
    pthread_barrier_t used, closed;
};

static void *visit(void *arg) {
    struct visitor *visitor = arg;
    CHECK_PTR(visitor->api.current_task(), NULL);
    CHECK_STR(visitor->api.task_state_name(NULL), "UNKNOWN");
    run_both_runtimes(&visitor->api);
    pthread_barrier_wait(&visitor->used);
    pthread_barrier_wait(&visitor->closed);
    return NULL;
}

/* A thread that ran a runtime may end after the library was closed. */
TEST(a_thread_that_ran_tasks_may_end_after_the_close) {
    struct visitor visitor;
    pthread_t thread;
    void *library = open_library(RTLD_NOW);
    load_api(library, &visitor.api);
    CHECK_OK(pthread_barrier_init(&visitor.used, NULL, 2));
    CHECK_OK(pthread_barrier_init(&visitor.closed, NULL, 2));
    CHECK_OK(pthread_create(&thread, NULL, visit, &visitor));
    pthread_barrier_wait(&visitor.used);
    CHECK_OK(dlclose(library));
    pthread_barrier_wait(&visitor.closed);
    CHECK_OK(pthread_join(thread, NULL));
    exit(0);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s PATH-OF-THE-SHARED-LIBRARY [TEST]\n", argv[0]);
        return 2;
    }
    library_path = argv[1];
    argv[1] = argv[0];
    return check_main(argc - 1, argv + 1);
}
