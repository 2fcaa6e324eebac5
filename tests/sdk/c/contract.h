/* The 130 functions as section 4 of abi.md declares them, in its order.
 *
 * Included after the library's own headers: the compiler refuses a declaration that does not agree
 * with the header's.
 */
#ifndef CONTRACT_H
#define CONTRACT_H

uint32_t llam_abi_version(void);
const char *llam_version_string(void);
int llam_abi_get_info(llam_abi_info_t *info, size_t info_size);
int llam_runtime_opts_init(llam_runtime_opts_t *opts, size_t opts_size);
int llam_spawn_opts_init(llam_spawn_opts_t *opts, size_t opts_size);
int llam_runtime_init_ex(const llam_runtime_opts_t *opts, size_t opts_size);
int llam_runtime_init(const llam_runtime_opts_t *opts);
llam_runtime_t *llam_runtime_default(void);
int llam_runtime_create(const llam_runtime_opts_t *opts,
                        size_t opts_size,
                        llam_runtime_t **out);
int llam_runtime_run_handle(llam_runtime_t *runtime);
void llam_runtime_destroy(llam_runtime_t *runtime);
int llam_run(void);
int llam_runtime_request_stop(void);
void llam_runtime_shutdown(void);
llam_task_t *llam_spawn_ex(llam_task_fn fn,
                           void *arg,
                           const llam_spawn_opts_t *opts,
                           size_t opts_size);
llam_task_t *llam_spawn(llam_task_fn fn, void *arg, const llam_spawn_opts_t *opts);
llam_task_t *llam_runtime_spawn_ex(llam_runtime_t *runtime,
                                   llam_task_fn fn,
                                   void *arg,
                                   const llam_spawn_opts_t *opts,
                                   size_t opts_size);
int llam_join(llam_task_t *task);
int llam_join_until(llam_task_t *task, uint64_t deadline_ns);
int llam_detach(llam_task_t *task);
llam_task_t *llam_current_task(void);
uint64_t llam_task_id(const llam_task_t *task);
const char *llam_task_state_name(const llam_task_t *task);
uint32_t llam_task_class(const llam_task_t *task);
uint32_t llam_task_flags(const llam_task_t *task);
int llam_task_set_class(uint32_t task_class);
void llam_yield(void);
void llam_task_safepoint(void);
llam_task_group_t *llam_task_group_create(void);
llam_task_t *llam_task_group_spawn_ex(llam_task_group_t *group,
                                      llam_task_fn fn,
                                      void *arg,
                                      const llam_spawn_opts_t *opts,
                                      size_t opts_size);
llam_task_t *llam_task_group_spawn(llam_task_group_t *group,
                                   llam_task_fn fn,
                                   void *arg,
                                   const llam_spawn_opts_t *opts);
int llam_task_group_cancel(llam_task_group_t *group);
int llam_task_group_join(llam_task_group_t *group);
int llam_task_group_join_until(llam_task_group_t *group, uint64_t deadline_ns);
int llam_task_group_destroy(llam_task_group_t *group);
uint64_t llam_now_ns(void);
int llam_sleep_until(uint64_t deadline_ns);
int llam_sleep_ns(uint64_t duration_ns);
int llam_timer_create_ex(const llam_timer_opts_t *opts,
                         size_t opts_size,
                         llam_timer_t **out);
int llam_timer_create(uint64_t interval_ns, llam_timer_t **out);
int llam_timer_wait(llam_timer_t *timer, uint64_t *ticks_out);
int llam_timer_wait_until(llam_timer_t *timer, uint64_t deadline_ns, uint64_t *ticks_out);
int llam_timer_reset(llam_timer_t *timer, uint64_t first_deadline_ns, uint64_t interval_ns);
int llam_timer_cancel(llam_timer_t *timer);
int llam_timer_destroy(llam_timer_t *timer);
int llam_signal_set_create_ex(const int *signos,
                              size_t signo_count,
                              const llam_signal_opts_t *opts,
                              size_t opts_size,
                              llam_signal_set_t **out);
int llam_signal_wait(llam_signal_set_t *set, llam_signal_event_t *out);
int llam_signal_wait_until(llam_signal_set_t *set,
                           uint64_t deadline_ns,
                           llam_signal_event_t *out);
int llam_signal_set_destroy(llam_signal_set_t *set);
int llam_call_blocking_result(llam_blocking_fn fn, void *arg, void **out);
void *llam_call_blocking(llam_blocking_fn fn, void *arg);
int llam_enter_blocking(void);
int llam_leave_blocking(void);
int llam_task_local_key_create(llam_task_local_key_t *out_key);
int llam_task_local_key_delete(llam_task_local_key_t key);
void *llam_task_local_get(llam_task_local_key_t key);
int llam_task_local_set(llam_task_local_key_t key, void *value);
llam_cancel_token_t *llam_cancel_token_create(void);
int llam_cancel_token_cancel(llam_cancel_token_t *token);
int llam_cancel_token_is_cancelled(const llam_cancel_token_t *token);
int llam_cancel_token_destroy(llam_cancel_token_t *token);
llam_mutex_t *llam_mutex_create(void);
int llam_mutex_destroy(llam_mutex_t *mutex);
int llam_mutex_lock(llam_mutex_t *mutex);
int llam_mutex_lock_until(llam_mutex_t *mutex, uint64_t deadline_ns);
int llam_mutex_trylock(llam_mutex_t *mutex);
int llam_mutex_unlock(llam_mutex_t *mutex);
llam_cond_t *llam_cond_create(void);
int llam_cond_destroy(llam_cond_t *cond);
int llam_cond_wait(llam_cond_t *cond, llam_mutex_t *mutex);
int llam_cond_wait_until(llam_cond_t *cond, llam_mutex_t *mutex, uint64_t deadline_ns);
int llam_cond_signal(llam_cond_t *cond);
int llam_cond_broadcast(llam_cond_t *cond);
llam_channel_t *llam_channel_create(size_t capacity);
int llam_channel_destroy(llam_channel_t *channel);
int llam_channel_send(llam_channel_t *channel, void *value);
int llam_channel_send_until(llam_channel_t *channel, void *value, uint64_t deadline_ns);
int llam_channel_try_send(llam_channel_t *channel, void *value);
int llam_channel_recv_result(llam_channel_t *channel, void **out);
int llam_channel_recv_until_result(llam_channel_t *channel,
                                   uint64_t deadline_ns,
                                   void **out);
int llam_channel_try_recv_result(llam_channel_t *channel, void **out);
void *llam_channel_recv(llam_channel_t *channel);
void *llam_channel_recv_until(llam_channel_t *channel, uint64_t deadline_ns);
int llam_channel_close(llam_channel_t *channel);
int llam_channel_select(llam_select_op_t *ops,
                        size_t op_count,
                        uint64_t deadline_ns,
                        size_t *selected_index);
ssize_t llam_read(llam_fd_t fd, void *buf, size_t count);
ssize_t llam_read_handle(llam_handle_t handle, void *buf, size_t count);
ssize_t llam_read_when_ready(llam_fd_t fd, void *buf, size_t count, int timeout_ms);
ssize_t llam_write(llam_fd_t fd, const void *buf, size_t count);
ssize_t llam_write_handle(llam_handle_t handle, const void *buf, size_t count);
ssize_t llam_writev(llam_fd_t fd, const llam_iovec_t *iov, int iovcnt);
int llam_close(llam_fd_t fd);
int llam_close_handle(llam_handle_t handle);
llam_fd_t llam_accept(llam_fd_t fd, struct sockaddr *addr, socklen_t *addrlen);
int llam_connect(llam_fd_t fd, const struct sockaddr *addr, socklen_t addrlen);
int llam_poll_fd(llam_fd_t fd, short events, int timeout_ms, short *revents);
int llam_poll_handle(llam_handle_t handle, short events, int timeout_ms, short *revents);
ssize_t llam_recvfrom(llam_fd_t fd,
                      void *buf,
                      size_t count,
                      int flags,
                      struct sockaddr *src_addr,
                      socklen_t *addrlen);
ssize_t llam_sendto(llam_fd_t fd,
                    const void *buf,
                    size_t count,
                    int flags,
                    const struct sockaddr *dst_addr,
                    socklen_t addrlen);
ssize_t llam_pread(llam_fd_t fd, void *buf, size_t count, uint64_t offset);
ssize_t llam_pwrite(llam_fd_t fd, const void *buf, size_t count, uint64_t offset);
ssize_t llam_preadv(llam_fd_t fd, const llam_mut_iovec_t *iov, int iovcnt, uint64_t offset);
ssize_t llam_pwritev(llam_fd_t fd, const llam_iovec_t *iov, int iovcnt, uint64_t offset);
ssize_t llam_pread_handle(llam_handle_t handle, void *buf, size_t count, uint64_t offset);
ssize_t llam_pwrite_handle(llam_handle_t handle,
                           const void *buf,
                           size_t count,
                           uint64_t offset);
ssize_t llam_preadv_handle(llam_handle_t handle,
                           const llam_mut_iovec_t *iov,
                           int iovcnt,
                           uint64_t offset);
ssize_t llam_pwritev_handle(llam_handle_t handle,
                            const llam_iovec_t *iov,
                            int iovcnt,
                            uint64_t offset);
ssize_t llam_read_owned(llam_fd_t fd, size_t max_count, llam_io_buffer_t **out);
ssize_t llam_recv_owned(llam_fd_t fd, size_t max_count, int flags, llam_io_buffer_t **out);
ssize_t llam_recvfrom_owned(llam_fd_t fd,
                            size_t max_count,
                            int flags,
                            struct sockaddr *src_addr,
                            socklen_t *addrlen,
                            llam_io_buffer_t **out);
ssize_t llam_pread_owned_aligned(llam_fd_t fd,
                                 size_t max_count,
                                 uint64_t offset,
                                 size_t alignment,
                                 llam_io_buffer_t **out);
ssize_t llam_pread_handle_owned_aligned(llam_handle_t handle,
                                        size_t max_count,
                                        uint64_t offset,
                                        size_t alignment,
                                        llam_io_buffer_t **out);
int llam_io_buffer_opts_init(llam_io_buffer_opts_t *opts, size_t opts_size);
int llam_io_buffer_alloc_ex(const llam_io_buffer_opts_t *opts,
                            size_t opts_size,
                            llam_io_buffer_t **out);
int llam_io_buffer_alloc(size_t capacity, llam_io_buffer_t **out);
int llam_io_buffer_alloc_aligned(size_t capacity, size_t alignment, llam_io_buffer_t **out);
size_t llam_io_buffer_alignment(const llam_io_buffer_t *buffer);
void *llam_io_buffer_data(llam_io_buffer_t *buffer);
size_t llam_io_buffer_size(const llam_io_buffer_t *buffer);
size_t llam_io_buffer_capacity(const llam_io_buffer_t *buffer);
void llam_io_buffer_release(llam_io_buffer_t *buffer);
int llam_getaddrinfo_result(const char *node,
                            const char *service,
                            const struct addrinfo *hints,
                            struct addrinfo **out,
                            int *gai_error);
void llam_freeaddrinfo_result(struct addrinfo *result);
int llam_open_async(const char *path, int flags, uint32_t mode, llam_handle_t *out);
int llam_stat_path_ex(const char *path, llam_file_stat_t *out, size_t out_size);
int llam_runtime_collect_stats_ex(llam_runtime_stats_t *stats, size_t stats_size);
int llam_runtime_collect_stats_ex_handle(llam_runtime_t *runtime,
                                         llam_runtime_stats_t *stats,
                                         size_t stats_size);
int llam_runtime_collect_stats(llam_runtime_stats_t *stats);
int llam_runtime_write_stats_json(int fd);
void llam_dump_runtime_state(int fd);

#endif
