/* SQLite, compiled to WebAssembly and then to an object, answers a query. */
#include <stdio.h>
#include <string.h>

#include "sq.h"

static sq_instance *sq;
static jw_memory *memory;

static int32_t put(const char *text) {
    int32_t size = (int32_t)strlen(text) + 1;
    int32_t at = sq__sqlite3_malloc(sq, size);
    memcpy(memory->data + at, text, (size_t)size);
    return at;
}

static const char *text_at(int32_t at) { return (const char *)memory->data + (uint32_t)at; }

int main(void) {
    int32_t error = 0;
    sq_imports imports = {sq_new_env__memory()};
    memory = imports.env__memory;
    sq = sq_instantiate(&imports, NULL, &error);
    if (!sq) {
        printf("no instance: %s\n", jw_trap_message(error));
        return 1;
    }
    sq__Z5FZ5Fwasm_call_ctors(sq);
    int32_t handle = sq__sqlite3_malloc(sq, 8), db, statement;
    if (sq__sqlite3_open(sq, put(":memory:"), handle)) return 2;
    memcpy(&db, memory->data + handle, 4);
    const char *setup =
        "create table fruit(id integer primary key, name text, price real);"
        "insert into fruit(name, price) values ('apple', 3.5), ('pear', 1.25);";
    if (sq__sqlite3_exec(sq, db, put(setup), 0, 0, 0)) return 3;
    const char *query = "select id, name, price from fruit order by id";
    if (sq__sqlite3_prepare_v2(sq, db, put(query), -1, handle, 0)) return 4;
    memcpy(&statement, memory->data + handle, 4);
    double total = 0;
    while (sq__sqlite3_step(sq, statement) == 100) {
        double price = sq__sqlite3_column_double(sq, statement, 2);
        printf("%d %s %.2f\n", sq__sqlite3_column_int(sq, statement, 0),
               text_at(sq__sqlite3_column_text(sq, statement, 1)), price);
        total += price;
    }
    printf("total %.2f\n", total);
    sq__sqlite3_finalize(sq, statement);
    int trapped = sq_trap(sq);
    sq_free(sq);
    sq_free_env__memory(memory);
    return trapped;
}
