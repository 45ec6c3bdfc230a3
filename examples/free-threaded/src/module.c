#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdatomic.h>

/* No lock keeps threads apart here: what they share must do without one. */
static atomic_ullong numbers;

static PyObject *longest(PyObject *module, PyObject *args)
{
    unsigned long long from, to, start = 0, most = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "KK", &from, &to))
        return NULL;
    for (unsigned long long first = from; first < to; first++) {
        unsigned long long steps = 0;
        for (unsigned long long n = first; n != 1; steps++)
            n = n % 2 ? 3 * n + 1 : n / 2;
        if (steps > most)
            most = steps, start = first;
        atomic_fetch_add(&numbers, 1);
    }
    return Py_BuildValue("KK", most, start);
}

static PyObject *looked_at(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyLong_FromUnsignedLongLong(atomic_load(&numbers));
}

static PyMethodDef methods[] = {
    {"longest", longest, METH_VARARGS, "Return (steps, start) of the longest sequence in a range."},
    {"looked_at", looked_at, METH_NOARGS, "Return how many sequences all threads have looked at."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED}, /* without it, importing the module would bring the lock back */
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_collatz", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC PyInit__collatz(void) { return PyModuleDef_Init(&definition); }
