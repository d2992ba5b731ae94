package dev.torpor;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

class ArchitectureTest {
    private static final JavaClasses CORE = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("dev.torpor");

    @Test
    void coreKnowsNoNativeTypes() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("java.lang.foreign..", "com.sun.jna..")
                .check(CORE);
    }

    @Test
    void theRawDriverKnowsNothingOfTheTypedApi() {
        noClasses()
                .that()
                .resideInAPackage("dev.torpor.driver")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("dev.torpor")
                .check(CORE);
    }

    @Test
    void coreNeedsNothingButJavaAndGson() {
        classes()
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage("java..", "dev.torpor..", "org.jspecify..", "com.google.gson..")
                .check(CORE);
    }
}
